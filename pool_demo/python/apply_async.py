from multiprocessing import get_context
import os
import time

SECOND = 0.1


def r():
    print('child process pid is {} ppid is {}'.format(os.getpid(), os.getppid()))
    time.sleep(SECOND)
    print('child process {} is free'.format(os.getpid()))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    p = get_context('fork').Pool(4)
    [p.apply_async(r) for _ in range(5)]
    p.close()
    p.join()
