import threading
import time

SECOND = 0.1
TIMES = 3

begun = time.monotonic()
times = 0
enough = threading.Event()


def r():
    global times
    times += 1
    print("Time's up")
    if times == TIMES:
        enough.set()
    else:
        threading.Timer(2 * SECOND, r).start()


threading.Timer(2 * SECOND, r).start()
enough.wait()
print('{} times in {:.6f} seconds'.format(TIMES, (time.monotonic() - begun) / SECOND))
