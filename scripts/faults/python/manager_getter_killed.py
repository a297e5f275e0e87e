"""A manager's client is killed in `get`. Then an item is put, and another client gets it."""
import multiprocessing as mp
import os
import queue
import sys
import time


def wait(q, ready):
    os.write(ready, b"x")
    q.get()


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    with ctx.Manager() as manager:
        for round in range(1, int(sys.argv[1]) + 1):
            q = manager.Queue()
            ready, writer = os.pipe()
            waiter = ctx.Process(target=wait, args=(q, writer))
            waiter.start()
            os.read(ready, 1)
            time.sleep(round * 7 % 30 / 1000)
            waiter.kill()
            waiter.join()
            q.put(round)
            try:
                assert q.get(timeout=3) == round
            except queue.Empty:
                print(f"broken: in round {round}: the dead waiter took the item", flush=True)
                sys.exit(1)
            print(f"round {round}: the next one got it", flush=True)
    print("held: the dead waiter takes nothing")
