import multiprocessing
import os

CHILDREN = 6


def r(gate):
    print('child process pid is {} ppid is {}'.format(os.getpid(), os.getppid()))
    os.read(gate, 1)  # wait for the other children


if __name__ == '__main__':
    multiprocessing.set_start_method('fork')  # the default up to Python 3.13
    print('main process pid is {}'.format(os.getpid()))
    gate, opener = os.pipe()
    pl = [multiprocessing.Process(target=r, args=(gate,)) for i in range(CHILDREN)]
    [p.start() for p in pl]
    os.write(opener, bytes(CHILDREN))
    [p.join() for p in pl]
    print('main process joined {} child processes'.format(CHILDREN))
