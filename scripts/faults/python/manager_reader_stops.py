"""A manager's client does not read its replies. Other clients should go on, and the server should end when asked."""
import multiprocessing as mp
import sys
import time
from multiprocessing.connection import Client
from multiprocessing.managers import SyncManager


def broken(what):
    print(f"broken: {what}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    for round in range(1, int(sys.argv[1]) + 1):
        manager = SyncManager(("127.0.0.1", 0), b"key", ctx=ctx)
        manager.start()
        items = manager.list(["x" * (20 << 20)])
        lazy = Client(manager.address, authkey=b"key")
        lazy.send((None, "accept_connection", ("lazy",), {}))
        lazy.send((items._id, "#GETVALUE", (), {}))
        begun = time.monotonic()
        for _ in range(20):
            assert len(items) == 1
        if time.monotonic() - begun > 3:
            broken(f"another client's calls took {time.monotonic() - begun:.1f} s")
        manager.shutdown()
        if time.monotonic() - begun > 6:
            broken(f"the end took {time.monotonic() - begun:.1f} s")
        print(f"round {round}: others went on, and the server ended", flush=True)
    print("held: other clients are served; the server ends all the same")
