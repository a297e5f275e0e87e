from multiprocessing import get_context
import os
import time

SECOND = 0.1
fork = get_context('fork')


def give_up(lock):
    for block, timeout in ((False, None), (True, SECOND)):
        start = time.time()
        if lock.acquire(block, timeout):
            raise SystemExit('acquired a lock that another process holds')
        seconds = (time.time() - start) / SECOND
        print('child process {} not acquired after {:.1f} s'.format(os.getpid(), seconds))


def work(lock):
    for _ in range(2):
        with lock:
            print('child process {} acquired'.format(os.getpid()))
            time.sleep(SECOND / 5)
            print('child process {} release'.format(os.getpid()))


if __name__ == '__main__':
    lock = fork.Lock()
    lock.acquire()
    print('main process {} acquired'.format(os.getpid()))
    p = fork.Process(target=give_up, args=(lock,))
    p.start()
    p.join()
    print('main process {} release'.format(os.getpid()))
    lock.release()

    pl = [fork.Process(target=work, args=(lock,)) for _ in range(4)]
    [p.start() for p in pl]
    [p.join() for p in pl]
