"""cores.py threads STEPS: how many times faster two threads are than one, with 8 tasks of STEPS steps."""

import sys
import threading
import time

TASKS = 8


def calculate(number, steps):
    for step in range(steps):
        number = (number * 6364136223846793005 + step) & 0xFFFFFFFFFFFFFFFF
    return number


def work(results, tasks, steps):
    for task in tasks:
        results[task] = calculate(task, steps)


if __name__ == "__main__":
    steps = int(sys.argv[2])
    expected = [calculate(task, steps) for task in range(TASKS)]
    times = {1: 0, 2: 0}
    for _ in range(2):
        for count in times:
            results = [None] * TASKS
            begin = time.perf_counter_ns()
            threads = []
            for index in range(count):
                arguments = (results, range(index, TASKS, count), steps)
                threads.append(threading.Thread(target=work, args=arguments))
                threads[-1].start()
            for thread in threads:
                thread.join()
            times[count] += time.perf_counter_ns() - begin
            assert results == expected
    print(times[1] / times[2])
