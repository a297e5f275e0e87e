import threading
import time

SECOND = 0.1


def r():
    print("Time's up")


def seconds(begun):
    return (time.monotonic() - begun) / SECOND


begun = time.monotonic()
print('a timer of 5 seconds is started')
t = threading.Timer(5 * SECOND, r)
t.start()
t.join()
print('it fired after {:.6f} seconds'.format(seconds(begun)))

begun = time.monotonic()
t = threading.Timer(500 * SECOND, r)
t.start()
t.cancel()
t.join()
print('another was cancelled after {:.6f} seconds'.format(seconds(begun)))
