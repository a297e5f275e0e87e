"""A manager's server is killed. A client that waits for it, calls it or connects should get an error at once."""
import multiprocessing as mp
import os
import sys
import threading
import time
from multiprocessing.managers import SyncManager


def told(call):
    try:
        call()
    except (OSError, EOFError):
        return
    print("broken: no error", flush=True)
    os._exit(1)


def get(q, waits):
    q.qsize()
    waits.set()
    told(q.get)


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    for round in range(1, int(sys.argv[1]) + 1):
        manager = SyncManager(("127.0.0.1", 0), b"key", ctx=ctx)
        manager.start()
        q, items = manager.Queue(), manager.list([1])
        len(items)
        waits = threading.Event()
        waiter = threading.Thread(target=get, args=(q, waits))
        waiter.start()
        waits.wait()
        manager._process.kill()
        manager._process.join()
        begun = time.monotonic()
        waiter.join()
        told(lambda: items.append(2))
        told(SyncManager(manager.address, b"key").connect)
        took = time.monotonic() - begun
        if took > 3:
            print(f"broken: in round {round}: it took {took:.1f} s", flush=True)
            os._exit(1)
        print(f"round {round}: all were told", flush=True)
    print("held: an error at once", flush=True)
    os._exit(0)
