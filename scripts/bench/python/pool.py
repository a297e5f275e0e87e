"""pool.py "chunk 1"|"default chunk"|cpu COUNT: a Pool of two processes adds one to COUNT numbers; nanoseconds for one.

cpu: how many times faster two processes are than one, with 8 tasks of COUNT steps.
"""

import multiprocessing
import sys
import time

TASKS = 8
LONGEST = 100_000


def add_one(number):
    return number + 1


def calculate(task):
    number, steps = task
    for step in range(steps):
        number = (number * 6364136223846793005 + step) & 0xFFFFFFFFFFFFFFFF
    return number


def tiny(context, count, chunksize):
    maps = -(-count // LONGEST)
    length = -(-count // maps)
    elapsed = 0
    with context.Pool(2) as pool:
        pool.map(add_one, range(-(-length // 10)), chunksize)
        for _ in range(maps):
            begin = time.perf_counter_ns()
            results = pool.map(add_one, range(length), chunksize)
            elapsed += time.perf_counter_ns() - begin
            assert results == list(range(1, length + 1))
    return elapsed / (maps * length)


def speed_up(context, steps):
    tasks = [(seed, steps) for seed in range(TASKS)]
    expected = [calculate(task) for task in tasks]
    times = {1: 0, 2: 0}
    with context.Pool(1) as one, context.Pool(2) as two:
        for _ in range(2):
            for workers, pool in (1, one), (2, two):
                begin = time.perf_counter_ns()
                results = pool.map(calculate, tasks, 1)
                times[workers] += time.perf_counter_ns() - begin
                assert results == expected
    return times[1] / times[2]


if __name__ == "__main__":
    context, count = multiprocessing.get_context("fork"), int(sys.argv[2])
    match sys.argv[1]:
        case "chunk 1":
            print(tiny(context, count, 1))
        case "default chunk":
            print(tiny(context, count, None))
        case "cpu":
            print(speed_up(context, count))
