"""A manager's client is killed while it holds a Lock; another client acquires it."""
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
    with ctx.Manager() as manager:
        for round in range(1, int(sys.argv[1]) + 1):
            lock = manager.Lock()
            acquired, writer = os.pipe()
            holder = ctx.Process(target=hold, args=(lock, writer))
            holder.start()
            os.read(acquired, 1)
            holder.kill()
            holder.join()
            if not lock.acquire(True, 3):
                print(f"broken: in round {round}: the lock is lost", flush=True)
                sys.exit(1)
            print(f"round {round}: the next owner got it", flush=True)
    print("held: the lock is given back")
