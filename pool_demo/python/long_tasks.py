from multiprocessing import get_context
import os
import time

SECOND = 0.1


def long_time_task(name, seconds):
    print('Task %s pid %s is to run %0.2f seconds' % (name, os.getpid(), seconds))
    start = time.time()
    time.sleep(seconds)
    end = time.time()
    print('Task %s pid %s runs %0.2f seconds' % (name, os.getpid(), (end - start)))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    p = get_context('fork').Pool()
    for i in range(5):
        seconds = SECOND * 3 * (7 * i % 5) / 5
        p.apply_async(long_time_task, args=(i, seconds))
    p.close()
    p.join()
