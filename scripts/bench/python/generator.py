"""generator.py send COUNT: nanoseconds to send a number to a coroutine, which yields the sum of all so far."""

import sys
import time


def summing():
    total = 0
    while True:
        total += yield total


def send(coroutine, numbers):
    for number in numbers:
        total = coroutine.send(number)
    return total


if __name__ == "__main__":
    count = int(sys.argv[2])
    warm_up = -(-count // 10)
    coroutine = summing()
    next(coroutine)
    send(coroutine, range(warm_up))
    begin = time.perf_counter_ns()
    total = send(coroutine, range(warm_up, warm_up + count))
    elapsed = time.perf_counter_ns() - begin
    assert total == sum(range(warm_up + count)), total
    print(elapsed / count)
