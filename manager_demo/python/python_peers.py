import functools
import queue
from multiprocessing import Process, current_process
from multiprocessing.managers import SyncManager

AUTHKEY = b'abc'


class Jobs(SyncManager):
    pass


@functools.cache
def named_queue(name):
    q = queue.Queue()
    if name == 'jobs':
        for n in range(5):
            q.put({'number': n})
    return q


for name in ['jobs', 'done']:
    Jobs.register(name, callable=functools.partial(named_queue, name))


def client(address):
    current_process().authkey = AUTHKEY
    m = SyncManager(address=address, authkey=AUTHKEY)
    m.connect()
    numbers = m.list([3, 1, 2])
    numbers.sort()
    print('client: list', numbers)
    d = m.dict({1: '1', '2': 2})
    d[0.25] = None
    print('client: dict', d)
    d['numbers'] = numbers
    d['numbers'].append(4)
    print('client: list in the dict, appended to:', numbers)
    try:
        numbers.index(9)
    except ValueError as error:
        print('client: ValueError:', error)
    namespace = m.Namespace(x=1)
    namespace.y = namespace.x + 1
    print('client:', namespace)
    array = m.Array('i', [1, 2])
    array[0] = -array[0]
    print('client: array', list(array))
    q = m.Queue(2)
    q.put(('task', 1))
    q.put(d)
    print(f'client: queue gives {q.get()}, {q.qsize()} is left')
    lock = m.Lock()
    with lock:
        print('client: lock held, acquired once more:', lock.acquire(blocking=False))
    print('client: lock released, acquired once more:', lock.acquire(blocking=False))


def worker(address):
    m = Jobs(address=address, authkey=AUTHKEY)
    m.connect()
    jobs, done = m.jobs(), m.done()
    while not jobs.empty():
        job = jobs.get()
        print('worker: gets', job)
        done.put({'number': job['number'], 'square': job['number'] ** 2})
    print('worker: nothing is left')


def main():
    with SyncManager(address=('127.0.0.1', 0), authkey=AUTHKEY) as m:
        peer = Process(target=client, args=(m.address,))
        peer.start()
        peer.join()
        print('server:', m._number_of_objects(), 'objects are left')
    with Jobs(address=('127.0.0.1', 0), authkey=AUTHKEY) as m:
        peer = Process(target=worker, args=(m.address,))
        peer.start()
        peer.join()
        done = m.done()
        while not done.empty():
            print('manager: {number} squared is {square}'.format(**done.get()))


if __name__ == '__main__':
    main()
