"""The limit of open descriptors is reached. Existing objects should still work; after closing some, new ones too."""
import errno
import gc
import multiprocessing as mp
import resource
import sys

LIMIT = 64


def exhaust(make, works, close):
    made, most = [], 0
    for _ in range(2):
        for thing in made[len(made) // 2 :]:
            close(thing)
        made = made[: len(made) // 2]
        thing = None
        gc.collect()
        try:
            while len(made) < LIMIT:
                made.append(make())
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        gc.collect()
        for thing in made:
            works(thing)
        if len(made) < most:
            broken(f"only {len(made)} instead of {most} after closing half")
        most = len(made)
    for thing in made:
        close(thing)
    return most


def put_and_get(queue):
    queue.put(1)
    assert queue.get() == 1


def start_and_ping(pipe):
    ours, theirs, child = pipe
    ours.send(1)
    assert ours.recv() == 1


def echo(pipe):
    while True:
        pipe.send(pipe.recv())


def pipe_and_peer():
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=echo, args=(theirs,))
    child.start()
    return ours, theirs, child


def close_pipe(pipe):
    ours, theirs, child = pipe
    child.kill()
    child.join()
    child.close()
    ours.close()
    theirs.close()


def close_queue(queue):
    queue.close()


def work(pool):
    assert pool.map(abs, [0, -1], 1) == [0, 1]


def close_pool(pool):
    pool.terminate()
    pool.join()


def broken(what):
    print(f"broken: {what}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    first = None
    for round in range(1, int(sys.argv[1]) + 1):
        queues = exhaust(ctx.SimpleQueue, put_and_get, close_queue)
        pipes = exhaust(pipe_and_peer, start_and_ping, close_pipe)
        pools = exhaust(lambda: ctx.Pool(2), work, close_pool)
        counts = f"{queues} queues, {pipes} pipes, {pools} pools"
        first = first or counts
        if counts != first:
            broken(f"in round {round}: {counts} instead of {first}: descriptors are lost")
        print(f"round {round}: {counts}", flush=True)
    print("held: an error that says so; what was made works on")
