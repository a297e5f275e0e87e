import threading
import time

SECOND = 0.1


def acquire():
    lock = threading.Lock()
    lock.acquire()
    print('main has the lock')
    assert not lock.acquire(blocking=False)
    print('main tried: the lock is taken')
    begun = time.monotonic()
    assert not lock.acquire(timeout=SECOND)
    print('main waited {:.6f} seconds: the lock is taken'.format((time.monotonic() - begun) / SECOND))

    def wait():
        with lock:
            print('the thread has the lock')

    t = threading.Thread(target=wait)
    t.start()
    time.sleep(SECOND)
    print('main releases the lock')
    lock.release()
    t.join()


def count():
    counter = 0
    lock = threading.Lock()

    def add():
        nonlocal counter
        for _ in range(1000):
            with lock:
                counter += 1

    tl = [threading.Thread(target=add) for _ in range(4)]
    [t.start() for t in tl]
    [t.join() for t in tl]
    print('the threads counted to {}'.format(counter))


def fail():
    accounts = [100, 0]
    lock = threading.Lock()

    def transfer():
        with lock:
            accounts[0] -= 30
            raise RuntimeError('half of the transfer is done')

    threading.excepthook = lambda args: print('the thread panics with the lock: {}'.format(args.exc_value))
    t = threading.Thread(target=transfer)
    t.start()
    t.join()
    with lock:
        print('main has the lock and finds {}'.format(accounts))


acquire()
count()
fail()
