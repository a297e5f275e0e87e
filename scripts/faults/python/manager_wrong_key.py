"""A client with a wrong key connects to a manager's server. Other clients should go on."""
import multiprocessing as mp
import sys
import time
from multiprocessing.managers import SyncManager


def works(address):
    begun = time.monotonic()
    manager = SyncManager(address, b"key")
    manager.connect()
    assert len(manager.list([1])) == 1
    took = time.monotonic() - begun
    if took > 3:
        broken(f"a client was served in {took:.1f} s")
    return took


def broken(what):
    print(f"broken: {what}", flush=True)
    manager.shutdown()
    sys.exit(1)


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    manager = SyncManager(("127.0.0.1", 0), b"key", ctx=ctx)
    manager.start()
    for round in range(1, int(sys.argv[1]) + 1):
        try:
            SyncManager(manager.address, b"other").connect()
            broken("it was not refused")
        except mp.AuthenticationError as error:
            works(manager.address)
            print(f"round {round}: {error}", flush=True)
    manager.shutdown()
    print("held: refused; other clients are served")
