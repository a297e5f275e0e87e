"""start.py METHOD COUNT: nanoseconds to start and join a child that does nothing."""

import multiprocessing
import sys
import time


def nothing():
    pass


def start(context):
    child = context.Process(target=nothing)
    child.start()
    child.join()
    assert child.exitcode == 0, child.exitcode
    child.close()


if __name__ == "__main__":
    context, count = multiprocessing.get_context(sys.argv[1]), int(sys.argv[2])
    for _ in range(-(-count // 10)):
        start(context)
    begin = time.perf_counter_ns()
    for _ in range(count):
        start(context)
    print((time.perf_counter_ns() - begin) / count)
