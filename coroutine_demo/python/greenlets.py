# gevent is not in the standard library, so a generator stands for a greenlet and `yield` for `gevent.sleep(1)`.
from collections import deque
import time

SECOND = 0.1
ROUNDS = 4

ready = deque()


def task(count):
    while True:
        print(count)
        yield


def add_tasks():
    for count in range(1, ROUNDS + 1):
        print('new task count %s' % count)
        ready.append(task(count))
        yield
        time.sleep(SECOND)


def run(main):
    ready.append(main)
    while True:
        greenlet = ready.popleft()
        try:
            next(greenlet)
        except StopIteration:
            if greenlet is main:
                break
        else:
            ready.append(greenlet)


if __name__ == '__main__':
    run(add_tasks())
