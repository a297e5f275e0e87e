from multiprocessing import get_context
import time

SECOND = 0.1


def f():
    time.sleep(SECOND)
    return time.time()


if __name__ == '__main__':
    with get_context('fork').Pool(5) as p:
        print('{:.6f}'.format(p.apply(f)))
        print('{:.6f}'.format(p.apply(f)))
