"""The peer of a Pipe is killed while it sends. The pipe is created as in Python's documentation."""
import itertools
import multiprocessing as mp
import sys


def large(number):
    return number, bytes([number % 256]) * (500_000 if number % 3 == 2 else number % 300)


def peer(pipe):
    for number in itertools.count():
        pipe.send(large(number))


if __name__ == "__main__":
    ctx, messages = mp.get_context("fork"), 0
    for round in range(1, int(sys.argv[1]) + 1):
        pipe, theirs = ctx.Pipe()
        child = ctx.Process(target=peer, args=(theirs,))
        child.start()
        count = 0
        while count < round * 7 % 50:
            assert pipe.recv() == large(count)
            count += 1
        child.kill()
        try:
            while True:
                assert pipe.recv() == large(count)
                count += 1
        except EOFError:
            messages += count
        child.join()
        print(f"round {round}: {count} messages, then the end of file", flush=True)
    print(f"held: {messages} messages whole, then the end of file")
