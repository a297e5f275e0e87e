from multiprocessing import get_context
import os
import time

SECOND = 0.1
fork = get_context('fork')


def r(q):
    while True:
        item = q.get()
        if item is None:
            return
        time.sleep(SECOND / 10)
        print('child process {} done {}'.format(os.getpid(), item))
        q.task_done()


if __name__ == '__main__':
    q = fork.JoinableQueue()
    pl = [fork.Process(target=r, args=(q,)) for _ in range(2)]
    [p.start() for p in pl]
    for item in range(10):
        q.put(item)
    q.join()
    print('main process {} joined the queue'.format(os.getpid()))
    try:
        q.task_done()
    except ValueError as error:
        print(error)
    for _ in pl:
        q.put(None)
    [p.join() for p in pl]
