"""pipe.py ping-pong COUNT: nanoseconds for a number there and back through a Pipe, on one CPU."""

import multiprocessing
import os
import sys
import time


def answer(connection):
    while True:
        try:
            connection.send(connection.recv() + 1)
        except EOFError:
            return


def ask(connection, numbers):
    for number in numbers:
        connection.send(number)
        assert connection.recv() == number + 1


if __name__ == "__main__":
    count = int(sys.argv[2])
    warm_up = -(-count // 10)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child():
        ours.close()
        answer(theirs)

    process = context.Process(target=child)
    process.start()
    theirs.close()
    ask(ours, range(warm_up))
    begin = time.perf_counter_ns()
    ask(ours, range(warm_up, warm_up + count))
    elapsed = time.perf_counter_ns() - begin
    ours.close()
    process.join()
    assert process.exitcode == 0, process.exitcode
    print(elapsed / count)
