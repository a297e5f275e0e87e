from multiprocessing import TimeoutError, get_context
import time

SECOND = 0.1


def slow(value):
    time.sleep(SECOND * 4)
    return value


if __name__ == '__main__':
    with get_context('fork').Pool(1) as p:
        start = time.time()
        result = p.apply_async(slow, (7,))
        try:
            print('too early: {}'.format(result.get(SECOND)))
        except TimeoutError:
            print('TimeoutError')
        print('the value is {}'.format(result.get(SECOND * 100)))
        print('after {:.2f} seconds'.format(time.time() - start))
