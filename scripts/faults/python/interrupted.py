"""SIGINT reaches the whole process group while a Pool works, as from Ctrl-C. All processes should end.

The harness sends the signal after it has read a line.
"""
import multiprocessing as mp
import signal


def endless(number):
    print(f"task {number} is at work", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    with mp.get_context("fork").Pool(3) as pool:
        pool.map(endless, range(6), 1)
