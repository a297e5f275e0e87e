from multiprocessing import get_context
import os

PROCESSES = 4
LIMIT = 100_000
fork = get_context('fork')


def sieve(composite, next_number):
    taken = 0
    while True:
        with next_number.get_lock():
            number = next_number.value
            next_number.value += 1
        if number * number >= LIMIT:
            print('child process {} took {} numbers'.format(os.getpid(), taken))
            return
        taken += 1
        if not composite[number]:
            for multiple in range(number * number, LIMIT, number):
                composite[multiple] = 1


if __name__ == '__main__':
    composite = fork.Array('b', LIMIT, lock=False)
    next_number = fork.Value('q', 2)
    pl = [fork.Process(target=sieve, args=(composite, next_number)) for _ in range(PROCESSES)]
    [p.start() for p in pl]
    [p.join() for p in pl]
    primes = [number for number in range(2, LIMIT) if not composite[number]]
    print('main process {}: {} primes, the last is {}'.format(os.getpid(), len(primes), primes[-1]))
