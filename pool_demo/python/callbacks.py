from multiprocessing import get_context
import os


def half(number):
    if number % 2:
        raise ValueError('{} is odd'.format(number))
    return number // 2


def got(result):
    print('process {} got {}'.format(os.getpid(), result))


def failed(error):
    print('process {} got the error: {}'.format(os.getpid(), error))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    p = get_context('fork').Pool(2)
    for number in [8, 9]:
        p.apply_async(half, (number,), callback=got, error_callback=failed)
    for numbers in [[2, 4, 6], [2, 3, 4]]:
        p.map_async(half, numbers, callback=got, error_callback=failed)
    p.close()
    p.join()
    print('main process {} joined the pool'.format(os.getpid()))
