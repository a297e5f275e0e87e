"""A process forks while one of its threads prints to a file, and the child prints there too.

For stdout itself CPython makes the lock anew in the child; for any other file it does not.
"""
import multiprocessing as mp
import sys
import tempfile
import threading


def printing():
    while not stop.is_set():
        print("a line", file=log, flush=True)


def child():
    print("a line", file=log, flush=True)


if __name__ == "__main__":
    ctx, log = mp.get_context("fork"), tempfile.TemporaryFile("w")
    for round in range(1, int(sys.argv[1]) + 1):
        stop = threading.Event()
        thread = threading.Thread(target=printing)
        thread.start()
        process = ctx.Process(target=child)
        process.start()
        process.join()
        stop.set()
        thread.join()
        print(f"round {round}: the child has printed", flush=True)
    print("held: the children have printed")
