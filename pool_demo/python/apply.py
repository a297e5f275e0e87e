from multiprocessing import get_context
import time

SECOND = 0.1


def f():
    time.sleep(SECOND)
    return time.time()


if __name__ == '__main__':
    with get_context('fork').Pool(5) as p:
        start = time.time()
        for name in ('first', 'second'):
            end = p.apply(f) - start
            print('{} task: done after {:.2f} s'.format(name, end / SECOND))
