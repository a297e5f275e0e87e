from multiprocessing import get_context
import os

fork = get_context('fork')


def child(lock):
    found = 'acquired' if lock.acquire(False) else 'not acquired'
    print('child process {} {}'.format(os.getpid(), found))


def look(lock):
    p = fork.Process(target=child, args=(lock,))
    p.start()
    p.join()


if __name__ == '__main__':
    lock = fork.RLock()
    lock.acquire()
    lock.acquire()
    print('main process {} acquired twice'.format(os.getpid()))
    look(lock)
    lock.release()
    print('main process {} released once'.format(os.getpid()))
    look(lock)
    lock.release()
    print('main process {} released twice'.format(os.getpid()))
    look(lock)
