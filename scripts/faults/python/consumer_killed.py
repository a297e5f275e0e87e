"""A consumer is killed in `get`; another goes on. Only the item that the dead consumer had taken may be lost."""
import multiprocessing as mp
import os
import struct
import sys

ITEMS = 120


def item(number):
    return number, bytes([number % 256]) * (100_000 if number % 50 == 49 else number % 300)


def consume(q, report):
    while (found := q.get()) is not None:
        assert found == item(found[0])
        os.write(report, struct.pack("<q", found[0]))


def consumer(ctx, q):
    reader, writer = os.pipe()
    process = ctx.Process(target=consume, args=(q, writer))
    process.start()
    os.close(writer)
    return process, open(reader, "rb")


def one(ctx, round):
    q = ctx.Queue() if round % 2 == 0 else ctx.Queue(3)
    killed, killed_got = consumer(ctx, q)
    other, other_got = consumer(ctx, q)
    before = round * 37 % ITEMS
    for number in range(before):
        q.put(item(number))
    killed.kill()
    killed.join()
    for number in range(before, ITEMS):
        q.put(item(number))
    q.put(None)
    other.join()
    q.close()
    q.join_thread()
    times = [0] * ITEMS
    for (number,) in struct.iter_unpack("<q", killed_got.read() + other_got.read()):
        times[number] += 1
    if max(times) > 1:
        broken(f"in round {round}: {sum(n > 1 for n in times)} items came twice")
    lost = times.count(0)
    if lost > 1:
        broken(f"in round {round}: lost {lost} of {ITEMS} items")
    return lost


def broken(what):
    print(f"broken: {what}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    ctx, lost, rounds = mp.get_context("fork"), 0, int(sys.argv[1])
    for round in range(1, rounds + 1):
        lost += one(ctx, round)
        print(f"round {round}: each once", flush=True)
    print(f"held: of {rounds * ITEMS} items {lost} lost, in the hands of the killed")
