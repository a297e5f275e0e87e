"""A manager's server gets 10,000 silent connections. It should still serve a client."""
import multiprocessing as mp
import resource
import socket
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


def status(name):
    with open(f"/proc/{manager._process.pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(most - 1000, 10_000)
    ctx = mp.get_context("fork")
    manager = SyncManager(("127.0.0.1", 0), b"key", ctx=ctx)
    manager.start()
    slowest = 0
    for round in range(1, int(sys.argv[1]) + 1):
        everybody = []
        for number in range(count):
            everybody.append(socket.create_connection(manager.address, 5))
            if number % 1000 == 999:
                slowest = max(slowest, works(manager.address))
                threads = status("Threads:")
                if threads > 300:
                    broken(f"it has {threads} threads for {number + 1} silent connections, for ever")
            elif number % 100 == 0:
                print(f"connection {number}", flush=True)
        print(f"round {round}: {count} connections", flush=True)
    manager.shutdown()
    print(f"held: {count} silent connections; a client is served in {slowest * 1000:.0f} ms")
