from multiprocessing import Manager, Process


def child(lock, rlock, semaphore, bounded, condition, event, barrier):
    taken = lock.acquire(False)
    barrier.wait()
    print(f'Lock: held {taken}, free {lock.acquire()}')
    barrier.wait()
    taken = rlock.acquire(False)
    barrier.wait()
    print(f'RLock: held once of twice {taken}, free {rlock.acquire() and rlock.acquire()} twice')
    print(f'Semaphore: second {semaphore.acquire(False)}, third {semaphore.acquire(False)}')
    bounded.release()
    try:
        bounded.release()
    except ValueError as error:
        print(f'BoundedSemaphore: ValueError: {error}')
    with condition:
        barrier.wait()
        print(f'Condition: notified {condition.wait(5)}')
    before = event.is_set()
    barrier.wait()
    print(f'Event: before {before}, then {event.wait(5)}')
    print(f'Barrier: the child came as number {barrier.wait()} of {barrier.parties}')


if __name__ == '__main__':
    with Manager() as manager:
        lock = manager.Lock()
        rlock = manager.RLock()
        semaphore = manager.Semaphore(2)
        bounded = manager.BoundedSemaphore(1)
        condition = manager.Condition()
        event = manager.Event()
        barrier = manager.Barrier(2, timeout=5)
        lock.acquire()
        rlock.acquire()
        rlock.acquire()
        semaphore.acquire()
        bounded.acquire()
        process = Process(target=child, args=(lock, rlock, semaphore, bounded, condition, event, barrier))
        process.start()
        barrier.wait()
        lock.release()
        rlock.release()
        barrier.wait()
        barrier.wait()
        rlock.release()
        barrier.wait()
        with condition:
            condition.notify()
        barrier.wait()
        event.set()
        place = barrier.wait()
        process.join()
        print(f'Barrier: the parent came as number {place} of {barrier.parties}')
