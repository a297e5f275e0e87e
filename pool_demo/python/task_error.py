from multiprocessing import get_context
import os


def divide(a, b):
    assert a >= b or b == 0, 'too small'
    if b == 0:
        raise ValueError('division by zero')
    return a // b, os.getpid()


if __name__ == '__main__':
    with get_context('fork').Pool(1) as p:
        for a, b in [(6, 3), (6, 0), (1, 4), (6, 2)]:
            try:
                result, worker = p.apply(divide, (a, b))
                print('worker {}: {} / {} = {}'.format(worker, a, b, result))
            except ValueError as error:
                print('the task failed: {}'.format(error))
            except AssertionError as error:
                print('the task panicked: {}'.format(error))
    print('main process {}'.format(os.getpid()))
