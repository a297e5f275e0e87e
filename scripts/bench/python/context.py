"""context.py get|set|run COUNT: nanoseconds to get or set a context variable, or to get it in a copy of the context."""

import contextvars
import sys
import time

var = contextvars.ContextVar("var")


def get(count):
    for _ in range(count):
        value = var.get()
    assert value == 7


def set(count):
    for number in range(count):
        var.set(number)
    assert var.get() == count - 1


def read():
    return var.get()


def run(count):
    for _ in range(count):
        value = contextvars.copy_context().run(read)
    assert value == 7


if __name__ == "__main__":
    repeat = {"get": get, "set": set, "run": run}[sys.argv[1]]
    count = int(sys.argv[2])
    var.set(7)
    repeat(-(-count // 10))
    begin = time.perf_counter_ns()
    repeat(count)
    print((time.perf_counter_ns() - begin) / count)
