import threading
import time

STEPS = 1_000_000


def on_two_threads():
    results = [None, None]

    def keep(i):
        results[i] = work(i + 1)

    tl = [threading.Thread(target=keep, args=(i,)) for i in range(2)]
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
        seconds = min(seconds, time.monotonic() - begun)
    return results, seconds


results, in_turn = shortest(lambda: [work(1), work(2)])
print('one after the other: {} in {:.6f} seconds'.format(results, in_turn))

results, at_once = shortest(on_two_threads)
print('on two threads: {} in {:.6f} seconds'.format(results, at_once))

print('speedup {:.3f}'.format(in_turn / at_once))
