"""A manager's client is killed in `acquire`. The lock is released, and another client acquires it."""
import multiprocessing as mp
import os
import sys
import time


def wait(lock, ready):
    os.write(ready, b"x")
    lock.acquire()


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    with ctx.Manager() as manager:
        for round in range(1, int(sys.argv[1]) + 1):
            lock = manager.Lock()
            lock.acquire()
            ready, writer = os.pipe()
            waiter = ctx.Process(target=wait, args=(lock, writer))
            waiter.start()
            os.read(ready, 1)
            time.sleep(round * 7 % 30 / 1000)
            waiter.kill()
            waiter.join()
            lock.release()
            if not lock.acquire(True, 3):
                print(f"broken: in round {round}: the dead waiter took the lock", flush=True)
                sys.exit(1)
            print(f"round {round}: the next one got it", flush=True)
    print("held: the dead waiter takes nothing")
