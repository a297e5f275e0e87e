"""A manager's server gets garbage, without the key and with it. It should refuse it and use little memory."""
import multiprocessing as mp
import socket
import sys
import time
from multiprocessing.connection import Client
from multiprocessing.managers import SyncManager

MEMORY = 100 << 10


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
    ctx = mp.get_context("fork")
    manager = SyncManager(("127.0.0.1", 0), b"key", ctx=ctx)
    manager.start()
    works(manager.address)
    before = status("VmHWM:")
    for round in range(1, int(sys.argv[1]) + 1):
        for garbage in b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 100, b"\x7f\xff\xff\xff":
            with socket.create_connection(manager.address, 5) as stranger:
                stranger.sendall(garbage)
                try:
                    while stranger.recv(1 << 16):
                        pass
                except TimeoutError:
                    broken(f"in round {round}: it waits for ever for {garbage[:4]}")
                except ConnectionError:
                    pass
        # A memo index and a length that would need more than a GiB.
        nested = b"]" * 100_000 + b"a" * 99_999 + b"."
        for pickle in b"garbage", nested, b"Nr\xff\xff\xff\x07.", b"B\xff\xff\xff\x7f.":
            with Client(manager.address, authkey=b"key") as client:
                client.send_bytes(pickle)
                try:
                    client.recv_bytes()
                except EOFError:
                    pass
        works(manager.address)
        print(f"round {round}: refused", flush=True)
    grown = status("VmHWM:") - before
    if grown > MEMORY:
        broken(f"it took {grown >> 10} MiB")
    manager.shutdown()
    print("held: refused with little memory; other clients are served")
