"""A worker of a Pool is killed in a task. That task should fail, and the others should be done."""
import multiprocessing as mp
import os
import signal
import sys
import time

WORKERS, TASKS = 3, 50


def work(number):
    time.sleep(0.001)
    return number, os.getpid()


def broken(what):
    print(f"broken: {what}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    ctx, rounds, reported = mp.get_context("fork"), int(sys.argv[1]), 0
    with ctx.Pool(WORKERS) as pool:
        for round in range(1, rounds + 1):
            done, failed = [0] * TASKS, 0
            results = pool.imap_unordered(work, range(TASKS))
            while True:
                try:
                    number, worker = next(results)
                except StopIteration:
                    break
                except Exception:
                    failed += 1
                    continue
                done[number] += 1
                if sum(done) == 1 + round % 40:
                    os.kill(worker, signal.SIGKILL)
            if max(done) > 1 or done.count(0) != failed:
                broken(f"in round {round}: {done.count(0)} tasks not done, {failed} reported")
            reported += failed
            print(f"round {round}: {TASKS} tasks, {failed} reported", flush=True)
    print(f"held: of {rounds * TASKS} tasks {reported} failed, and said so")
