"""Four workers of a remote task queue; two are killed. Every task should be done."""
import functools
import multiprocessing as mp
import queue
import sys
from multiprocessing.managers import BaseManager

TASKS = 2000

task_queue = queue.Queue()
result_queue = queue.Queue()


class QueueManager(BaseManager):
    pass


def get_task_queue():
    return task_queue


def get_result_queue():
    return result_queue


def work(tasks, results):
    while (task := tasks.get()) is not None:
        results.put(task())


def run(rounds):
    QueueManager.register("get_task_queue", callable=get_task_queue)
    QueueManager.register("get_result_queue", callable=get_result_queue)
    with QueueManager(("127.0.0.1", 0), b"key") as manager:
        tasks, results = manager.get_task_queue(), manager.get_result_queue()
        total = rounds * TASKS
        for number in range(total):
            tasks.put(functools.partial(max, number, -1))
        workers = [mp.Process(target=work, args=(tasks, results)) for _ in range(4)]
        for worker in workers:
            worker.start()
        killed, others = workers[:2], workers[2:]
        done, twice = set(), 0
        for round in range(1, rounds + 1):
            while len(done) < round * TASKS:
                try:
                    number = results.get(timeout=4)
                except queue.Empty:
                    print(f"broken: {total - len(done)} of {total} tasks are lost", flush=True)
                    for worker in workers:
                        worker.kill()
                    sys.exit(1)
                twice += number in done
                done.add(number)
                for index, worker in enumerate(killed):
                    if len(done) == total * (index + 1) // 3:
                        worker.kill()
            print(f"round {round}: {TASKS} tasks", flush=True)
        for _ in others:
            tasks.put(None)
        for worker in workers:
            worker.join()
    print(f"held: all {total} tasks done, {twice} of them twice")


if __name__ == "__main__":
    run(int(sys.argv[1]))
