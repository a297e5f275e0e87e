"""The parent is killed while its children work or wait. Who runs this sends the signal when it has read the line."""
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
    print(f"{len(works)} children are at work", flush=True)
    signal.pause()
