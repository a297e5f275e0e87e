"""/dev/shm is read-only. Creating a Value should be an error that says so, and a queue should work."""
import multiprocessing as mp
import sys

if __name__ == "__main__":
    ctx = mp.get_context("fork")
    for round in range(1, int(sys.argv[1]) + 1):
        try:
            ctx.Value("q", 0)
            reason = ""
        except OSError as error:
            reason = f"{type(error).__name__}: {error}"
        queue = ctx.Queue()
        queue.put(1)
        assert queue.get() == 1
        print(f"round {round}: no value, but a queue", flush=True)
    print(f"held: queues work; values: {reason}")
