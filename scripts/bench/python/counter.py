"""counter.py PROCESSES COUNT: nanoseconds for `with value.get_lock(): value.value += 1`."""

import multiprocessing
import os
import sys
import time


def increment(value, times):
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def work(value, share, warm_up, ready, gate, report):
    increment(value, warm_up)
    os.write(ready, b"r")
    os.read(gate, 1)
    increment(value, share)
    os.write(report, b"r")


def read(fd, size):
    for _ in range(size):
        assert os.read(fd, 1), "the workers have failed"


if __name__ == "__main__":
    processes = int(sys.argv[1])
    share = -(-int(sys.argv[2]) // processes)
    warm_up = -(-share // 10)
    context = multiprocessing.get_context("fork")
    value = context.Value("q", 0)
    (ready, is_ready), (gate, opener), (reports, report) = os.pipe(), os.pipe(), os.pipe()
    arguments = (value, share, warm_up, is_ready, gate, report)
    workers = [context.Process(target=work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    os.close(is_ready)
    os.close(report)
    read(ready, processes)
    begin = time.perf_counter_ns()
    os.write(opener, bytes(processes))
    read(reports, processes)
    elapsed = time.perf_counter_ns() - begin
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, worker.exitcode
    assert value.value == processes * (share + warm_up), value.value
    print(elapsed / (share * processes))
