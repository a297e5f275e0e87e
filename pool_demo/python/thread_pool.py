from multiprocessing.pool import ThreadPool
import os
import threading
import time

SECOND = 0.1


def f(x):
    time.sleep(SECOND)
    return x, threading.get_native_id(), os.getpid()


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    with ThreadPool(5) as p:
        print(p.map(f, [1, 2, 3]))
