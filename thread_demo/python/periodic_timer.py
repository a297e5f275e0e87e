import threading
import time

SECOND = 0.1

begun = time.monotonic()
times = 0
enough = threading.Event()


def r():
    global times
    times += 1
    print("Time's up")
    if times == 3:
        enough.set()
    else:
        threading.Timer(2 * SECOND, r).start()


threading.Timer(2 * SECOND, r).start()
enough.wait()
print('three times in {:.6f} seconds'.format((time.monotonic() - begun) / SECOND))
