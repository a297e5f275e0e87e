from multiprocessing import get_context
import os

PROCESSES = 4
INCREMENTS = 100000
fork = get_context('fork')


def count(locked, unlocked):
    for i in range(INCREMENTS):
        with locked.get_lock():
            locked.value += 1
        n = unlocked.value
        if i % 1000 == 0:
            os.sched_yield()  # lets another process run between the two steps
        unlocked.value = n + 1


if __name__ == '__main__':
    locked = fork.Value('q', 0)
    unlocked = fork.Value('q', 0, lock=False)
    pl = [fork.Process(target=count, args=(locked, unlocked)) for _ in range(PROCESSES)]
    [p.start() for p in pl]
    [p.join() for p in pl]
    print('{} processes, {} increments each'.format(PROCESSES, INCREMENTS))
    print('with the lock {}'.format(locked.value))
    print('without the lock {}'.format(unlocked.value))
