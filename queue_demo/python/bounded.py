from multiprocessing import get_context
import os
import queue
import time

SECOND = 0.1
ROOM = 2
fork = get_context('fork')


def r(q):
    time.sleep(SECOND)
    print('child process {} begins to get'.format(os.getpid()))
    for _ in range(ROOM + 1):
        print('child process {} got {}'.format(os.getpid(), q.get()))


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
    q = fork.Queue(ROOM)
    for item in range(ROOM):
        q.put(item)
    print('main process {} put {} items, qsize {}'.format(main, ROOM, q.qsize()))
    print('main process {} put_nowait: {}'.format(main, refused(q.put_nowait, ROOM)))
    print('main process {} put with a timeout: {}'.format(main, refused(q.put, ROOM, timeout=SECOND)))
    p = fork.Process(target=r, args=(q,))
    p.start()
    q.put(ROOM)
    print('main process {} put one more'.format(main))
    p.join()
    print('main process {} get_nowait: {}'.format(main, refused(q.get_nowait)))
    print('main process {} get with a timeout: {}'.format(main, refused(q.get, timeout=SECOND)))
