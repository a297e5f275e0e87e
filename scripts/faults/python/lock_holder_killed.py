"""The process that holds a Lock is killed; another process acquires it."""
import multiprocessing as mp
import os
import signal
import sys


def hold(lock, acquired):
    with lock:
        os.write(acquired, b"x")
        signal.pause()


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    for round in range(1, int(sys.argv[1]) + 1):
        lock = ctx.Lock()
        acquired, writer = os.pipe()
        holder = ctx.Process(target=hold, args=(lock, writer))
        holder.start()
        os.read(acquired, 1)
        holder.kill()
        holder.join()
        lock.acquire()
        print(f"round {round}: the next owner got it", flush=True)
    print("held: the next owner gets it")
