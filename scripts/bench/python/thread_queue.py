"""thread_queue.py "CLASS MAXSIZE PAIRS" COUNT: nanoseconds for a number through a queue.Queue or queue.SimpleQueue.

PAIRS threads put COUNT numbers in all; PAIRS other threads get them.
"""

import queue
import sys
import threading
import time


def produce(items, share, warm_up, ready, gate):
    for number in range(warm_up):
        items.put(number)
    ready.wait()
    gate.wait()
    for number in range(share):
        items.put(number)


def consume(items, share, warm_up, ready, gate, totals):
    total = 0
    for _ in range(warm_up):
        total += items.get()
    ready.wait()
    gate.wait()
    for _ in range(share):
        total += items.get()
    totals.append(total)


if __name__ == "__main__":
    name, maxsize, pairs = sys.argv[1].split()
    pairs = int(pairs)
    share = -(-int(sys.argv[2]) // pairs)
    warm_up = -(-share // 10)
    items = queue.SimpleQueue() if name == "SimpleQueue" else queue.Queue(int(maxsize))
    ready, gate, totals = threading.Barrier(2 * pairs + 1), threading.Event(), []
    workers = []
    for _ in range(pairs):
        arguments = (items, share, warm_up, ready, gate)
        workers.append(threading.Thread(target=produce, args=arguments))
        workers.append(threading.Thread(target=consume, args=(*arguments, totals)))
    for worker in workers:
        worker.start()
    ready.wait()
    begin = time.perf_counter_ns()
    gate.set()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter_ns() - begin
    assert sum(totals) == pairs * (sum(range(warm_up)) + sum(range(share))), totals
    print(elapsed / (share * pairs))
