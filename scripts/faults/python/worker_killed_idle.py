"""A worker of a Pool is killed while it is idle. All later tasks should be done."""
import multiprocessing as mp
import os
import select
import signal
import sys
import time

WORKERS, TASKS = 3, 50


def work(number):
    time.sleep(0.001)
    return number, os.getpid()


def work_all(pool):
    """Returns the pids of the workers that have done the tasks, the last one first."""
    done = pool.map(work, range(TASKS), 1)
    assert [number for number, _ in done] == list(range(TASKS))
    return list(dict.fromkeys(worker for _, worker in reversed(done)))


if __name__ == "__main__":
    ctx, rounds = mp.get_context("fork"), int(sys.argv[1])
    with ctx.Pool(WORKERS) as pool:
        workers = work_all(pool)
        for round in range(1, rounds + 1):
            pidfd = os.pidfd_open(workers[round % len(workers)])
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
            os.close(pidfd)
            workers = work_all(pool)
            print(f"round {round}: {TASKS} tasks done", flush=True)
    print(f"held: {rounds * TASKS} tasks done, none failed")
