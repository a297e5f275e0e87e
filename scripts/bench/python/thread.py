"""thread.py start COUNT: nanoseconds to start and join a thread that does nothing, on one CPU."""

import os
import sys
import threading
import time


def nothing():
    pass


def start(count):
    for _ in range(count):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()
        assert not thread.is_alive()


if __name__ == "__main__":
    count = int(sys.argv[2])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    start(-(-count // 10))
    begin = time.perf_counter_ns()
    start(count)
    print((time.perf_counter_ns() - begin) / count)
