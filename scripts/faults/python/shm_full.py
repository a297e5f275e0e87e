"""/dev/shm is full. Creating an object should be an error, and existing objects should still work."""
import errno
import multiprocessing as mp
import sys


def until_full(make):
    made = []
    try:
        while len(made) < 10_000:
            made.append(make())
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return made


if __name__ == "__main__":
    ctx = mp.get_context("fork")
    for round in range(1, int(sys.argv[1]) + 1):
        arrays = until_full(lambda: ctx.Array("b", 50_000))
        values = until_full(lambda: ctx.Value("q", 0))
        for array in arrays:
            array[:] = b"\1" * 50_000
        for value in values:
            value.value = 1
        print(f"round {round}: {len(arrays)} arrays, {len(values)} values", flush=True)
        del arrays, values
        array = value = None
    print("held: an error that says so; what was made works on")
