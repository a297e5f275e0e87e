from multiprocessing import get_context
import os
import time

SECOND = 0.1


def long_time_task(name, seconds):
    print('Task %s pid %s is to run %0.2f seconds' % (name, os.getpid(), seconds))
    start = time.time()
    time.sleep(seconds * SECOND)
    end = time.time()
    print('Task %s pid %s runs %0.2f seconds' % (name, os.getpid(), (end - start) / SECOND))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    p = get_context('fork').Pool()
    for i, seconds in enumerate([0, 1.2, 2.4, 0.6, 1.8]):
        p.apply_async(long_time_task, args=(i, seconds))
    p.close()
    p.join()
