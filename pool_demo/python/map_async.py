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
        result = p.map_async(f, [1, 2, 3])
        print('main process {} goes on, ready: {}'.format(os.getpid(), str(result.ready()).lower()))
        print(result.get())
        print('ready: {}, successful: {}'.format(
            str(result.ready()).lower(), str(result.successful()).lower()))
