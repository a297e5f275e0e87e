from multiprocessing import get_context
import os
import queue
import time

SECOND = 0.1
fork = get_context('fork')


def r(q):
    time.sleep(SECOND)
    print('child process {} begins to get'.format(os.getpid()))
    got = [q.get(), q.get(), q.get()]
    print('child process {} got {}'.format(os.getpid(), got))


def refused(call, *args, **kwargs):
    start = time.time()
    try:
        call(*args, **kwargs)
        raise SystemExit('the queue was neither full nor empty')
    except queue.Full:
        why = 'full'
    except queue.Empty:
        why = 'empty'
    return '{} after {:.1f} s'.format(why, (time.time() - start) / SECOND)


if __name__ == '__main__':
    main = os.getpid()
    q = fork.Queue(2)
    q.put(1)
    q.put(2)
    print('main process {} put 2 items, qsize {}'.format(main, q.qsize()))
    print('main process {} put_nowait: {}'.format(main, refused(q.put_nowait, 3)))
    print('main process {} put with a timeout: {}'.format(main, refused(q.put, 3, timeout=SECOND)))
    p = fork.Process(target=r, args=(q,))
    p.start()
    q.put(3)
    print('main process {} put the third'.format(main))
    p.join()
    print('main process {} get_nowait: {}'.format(main, refused(q.get_nowait)))
    print('main process {} get with a timeout: {}'.format(main, refused(q.get, timeout=SECOND)))
