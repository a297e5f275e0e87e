"""A producer is killed in `put`; another goes on. Every item that was put should arrive."""
import itertools
import multiprocessing as mp
import queue
import sys

OTHERS = 100


def item(number):
    return number, bytes([number % 256]) * (100_000 if number % 50 == 49 else number % 300)


def put(queue, producer, numbers, returned):
    for number in numbers:
        queue.put((producer, item(number)))
        returned.value += 1


def one(ctx, round):
    q = ctx.Queue() if round % 2 == 0 else ctx.Queue(3)
    returned = [ctx.RawValue("q"), ctx.RawValue("q")]
    killed = ctx.Process(target=put, args=(q, 0, itertools.count(), returned[0]))
    other = ctx.Process(target=put, args=(q, 1, range(OTHERS), returned[1]))
    killed.start()
    other.start()
    got = [0, 0]

    def take(timeout=None):
        producer, found = q.get(timeout=timeout)
        if found != item(got[producer]):
            broken(f"in round {round}: item {got[producer]} came as {found[0]}")
        got[producer] += 1

    for _ in range(round * 37 % 300):
        take()
    killed.kill()
    killed.join()
    while got[1] < OTHERS:
        take()
    other.join()
    try:
        while True:
            take(0.1)
    except queue.Empty:
        pass
    lost = returned[0].value - got[0]
    if lost > 0:
        broken(f"in round {round}: lost {lost} of {returned[0].value + OTHERS} items")
    return sum(got)


def broken(what):
    print(f"broken: {what}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    ctx, items = mp.get_context("fork"), 0
    for round in range(1, int(sys.argv[1]) + 1):
        items += one(ctx, round)
        print(f"round {round}: each once", flush=True)
    print(f"held: nothing lost of {items} items")
