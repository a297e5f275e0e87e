import threading
import time

STEPS = 5_000_000


def work(x):
    for _ in range(STEPS):
        x = (x * 1_103_515_245 + 12_345) % (1 << 31)
    return x


begun = time.monotonic()
first, second = work(1), work(2)
in_turn = time.monotonic() - begun
print('one after the other: {} and {} in {:.6f} seconds'.format(first, second, in_turn))


def keep(seed):
    results[seed] = work(seed)


begun = time.monotonic()
results = {}
tl = [threading.Thread(target=keep, args=(seed,)) for seed in (1, 2)]
[t.start() for t in tl]
[t.join() for t in tl]
at_once = time.monotonic() - begun
print('on two threads: {} and {} in {:.6f} seconds'.format(results[1], results[2], at_once))

print('speedup {:.3f}'.format(in_turn / at_once))
