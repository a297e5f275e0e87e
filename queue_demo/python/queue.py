from multiprocessing import get_context
import os
import time

SECOND = 0.1
CHILDREN = 100
fork = get_context('fork')


def r(q):
    while True:
        count = q.get()
        if count is None:
            return
        print('Child process {} count {}'.format(os.getpid(), count))
        time.sleep(SECOND)


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))

    q = fork.Queue()

    pl = [fork.Process(target=r, args=(q,)) for _ in range(CHILDREN)]
    [p.start() for p in pl]

    for count in range(1000):
        q.put(count)
    for _ in pl:
        q.put(None)

    [p.join() for p in pl]

    q.close()
    q.join_thread()
    print('main process joined {} child processes'.format(CHILDREN))
