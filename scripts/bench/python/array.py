"""array.py RawArray|Array COUNT: nanoseconds to negate one number of a shared array of COUNT, in place."""

import multiprocessing
import sys
import time


def negate(array):
    for index in range(len(array)):
        array[index] = -array[index]


if __name__ == "__main__":
    count = int(sys.argv[2])
    array = getattr(multiprocessing, sys.argv[1])("i", range(count))
    negate(array)
    begin = time.perf_counter_ns()
    negate(array)
    elapsed = time.perf_counter_ns() - begin
    assert array[:] == list(range(count))
    print(elapsed / count)
