"""lock.py THREADS COUNT: nanoseconds for `with lock: counter.n += 1`."""

import sys
import threading
import time


class Counter:
    def __init__(self):
        self.n = 0


def increment(counter, lock, times):
    for _ in range(times):
        with lock:
            counter.n += 1


def work(counter, lock, share, warm_up, ready, gate):
    increment(counter, lock, warm_up)
    ready.wait()
    gate.wait()
    increment(counter, lock, share)


if __name__ == "__main__":
    threads = int(sys.argv[1])
    share = -(-int(sys.argv[2]) // threads)
    warm_up = -(-share // 10)
    counter, lock = Counter(), threading.Lock()
    ready, gate = threading.Barrier(threads + 1), threading.Event()
    arguments = (counter, lock, share, warm_up, ready, gate)
    workers = [threading.Thread(target=work, args=arguments) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    begin = time.perf_counter_ns()
    gate.set()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter_ns() - begin
    assert counter.n == threads * (share + warm_up), counter.n
    print(elapsed / (share * threads))
