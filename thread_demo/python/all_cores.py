import threading
import time

SECOND = 0.1
STEPS = 1_000_000
THREADS = 2


def on_threads():
    results = [None] * THREADS

    def keep(i):
        results[i] = work(i + 1)

    tl = [threading.Thread(target=keep, args=(i,)) for i in range(THREADS)]
    [t.start() for t in tl]
    [t.join() for t in tl]
    return results


def work(x):
    for _ in range(STEPS):
        x = (x * x + 12_345) % 2_147_483_647
    return x


def shortest(works):
    seconds = float('inf')
    for _ in range(3):
        begun = time.monotonic()
        results = works()
        seconds = min(seconds, (time.monotonic() - begun) / SECOND)
    return results, seconds


results, in_turn = shortest(lambda: [work(i + 1) for i in range(THREADS)])
print('in turn: {} in {:.6f} seconds'.format(results, in_turn))

results, at_once = shortest(on_threads)
print('on {} threads: {} in {:.6f} seconds'.format(THREADS, results, at_once))

print('speedup {:.3f}'.format(in_turn / at_once))
