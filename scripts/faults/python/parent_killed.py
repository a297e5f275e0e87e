"""The parent is killed while its children work or wait. The harness sends the signal after it has read a line."""
import multiprocessing as mp
import os
import signal


def child(ready, work, *args):
    os.write(ready, b"x")
    while True:
        work(*args)


def locked(lock):
    with lock:
        pass


def endless(number):
    print(f"task {number} is at work", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    ready, writer = os.pipe()
    empty, full = ctx.SimpleQueue(), ctx.Queue(1)
    full.put(0)
    lock, held = ctx.Lock(), ctx.Lock()
    held.acquire()
    pipe, theirs = ctx.Pipe()
    works = [(empty.get,), (full.put, 1), (held.acquire,), (locked, lock), (theirs.recv,)]
    for work in works:
        ctx.Process(target=child, args=(writer, *work)).start()
    for _ in works:
        os.read(ready, 1)
    # The tasks print a line when they start.
    with ctx.Pool(2) as pool:
        pool.map(endless, range(2), 1)
