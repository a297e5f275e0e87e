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
            print('{} came in time'.format(result.get(SECOND)))
        except TimeoutError:
            print('TimeoutError after {:.2f} s'.format((time.time() - start) / SECOND))
        value = result.get()
        print('the value is {} after {:.2f} s'.format(value, (time.time() - start) / SECOND))
