from multiprocessing import get_context
import os
import time

SECOND = 0.1


def f(x):
    time.sleep(SECOND)
    return x, os.getpid(), os.getppid()


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    with get_context('fork').Pool(5) as p:
        start = time.time()
        print(p.map(f, [1, 2, 3], 3))
        print('took {:.2f} seconds'.format((time.time() - start) / SECOND))
