"""queue.py "SIZE PAIRS" COUNT: nanoseconds for an item through a multiprocessing.Queue.

PAIRS producers put COUNT bytes objects of SIZE bytes in all; PAIRS consumers get them.
"""

import multiprocessing
import os
import sys
import time

KINDS = 4


def produce(queue, items, share, warm_up, ready, gate):
    for n in range(warm_up):
        queue.put(items[n % KINDS])
    os.write(ready, b"r")
    os.read(gate, 1)
    for n in range(share):
        queue.put(items[n % KINDS])


def consume(queue, size, share, warm_up, ready, gate, report):
    total = 0
    for _ in range(warm_up):
        item = queue.get()
        assert len(item) == size
        total += item[0]
    os.write(ready, b"r")
    os.read(gate, 1)
    for _ in range(share):
        item = queue.get()
        assert len(item) == size
        total += item[0]
    os.write(report, total.to_bytes(8, "little"))


def read(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        assert more, "the workers have failed"
        data += more
    return data


if __name__ == "__main__":
    size, pairs = map(int, sys.argv[1].split())
    share = -(-int(sys.argv[2]) // pairs)
    warm_up = -(-share // 10)
    items = [bytes([kind]) + bytes(size - 1) for kind in range(KINDS)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    (ready, is_ready), (gate, opener), (reports, report) = os.pipe(), os.pipe(), os.pipe()
    workers = []
    for _ in range(pairs):
        arguments = (queue, items, share, warm_up, is_ready, gate)
        workers.append(context.Process(target=produce, args=arguments))
        arguments = (queue, size, share, warm_up, is_ready, gate, report)
        workers.append(context.Process(target=consume, args=arguments))
    for worker in workers:
        worker.start()
    os.close(is_ready)
    os.close(report)
    read(ready, 2 * pairs)
    begin = time.perf_counter_ns()
    os.write(opener, bytes(2 * pairs))
    numbers = [read(reports, 8) for _ in range(pairs)]
    elapsed = time.perf_counter_ns() - begin
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, worker.exitcode
    total = sum(int.from_bytes(number, "little") for number in numbers)
    expected = pairs * sum(n % KINDS for part in (warm_up, share) for n in range(part))
    assert total == expected, (total, expected)
    print(elapsed / (share * pairs))
