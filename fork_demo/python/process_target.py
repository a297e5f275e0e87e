import multiprocessing
import os
import time

SECOND = 0.1
CHILDREN = 6


def r(gate):
    print('child process pid is {} ppid is {}'.format(os.getpid(), os.getppid()))
    os.read(gate, 1)  # wait for the other children
    time.sleep(SECOND)
    print('child process {} ends'.format(os.getpid()))


if __name__ == '__main__':
    multiprocessing.set_start_method('fork')  # the default up to Python 3.13
    print('main process pid is {}'.format(os.getpid()))
    gate, opener = os.pipe()
    pl = [multiprocessing.Process(target=r, args=(gate,)) for i in range(CHILDREN)]
    [p.start() for p in pl]
    print('main process started {} child processes'.format(CHILDREN))
    os.write(opener, bytes(CHILDREN))
    [p.join() for p in pl]
    print('main process joined {} child processes'.format(CHILDREN))
