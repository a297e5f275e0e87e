from multiprocessing import get_context
import os

fork = get_context('fork')


def r(q):
    got = 0
    while not q.empty():
        q.get()
        got += 1
    print('Child process {} got {} items'.format(os.getpid(), got))


if __name__ == '__main__':
    q = fork.Queue()
    for _ in range(3):
        p = fork.Process(target=r, args=(q,))
        p.start()
        p.join()
    for count in range(10):
        q.put(count)
    q.put(None)
    lost = 0
    while q.get() is not None:
        lost += 1
    print('main process {} lost {} of 10 items'.format(os.getpid(), lost))
