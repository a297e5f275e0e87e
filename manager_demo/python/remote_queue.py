import functools
import platform
from multiprocessing import Process
from multiprocessing.managers import BaseManager
from queue import Queue

GET_TASK_Q_FUNC_NAME = 'get_task_queue'
GET_RESULT_Q_FUNC_NAME = 'get_result_queue'


class RemoteQueueManager(BaseManager):
    pass


@functools.cache
def internal_queue(name):
    return Queue()


class RemoteQueueServer:
    def __init__(self, address, authkey):
        self.manager = RemoteQueueManager(address, authkey)
        self.queues = None

    def start(self):
        for name in [GET_TASK_Q_FUNC_NAME, GET_RESULT_Q_FUNC_NAME]:
            RemoteQueueManager.register(name, callable=functools.partial(internal_queue, name))
        self.manager.start()
        self.queues = self.manager.get_task_queue(), self.manager.get_result_queue()

    def shutdown(self):
        self.queues = None
        self.manager.shutdown()

    def get_task_queue(self):
        if self.queues is None:
            self.start()
        return self.queues[0]

    def get_result_queue(self):
        if self.queues is None:
            self.start()
        return self.queues[1]


class RemoteQueueClient:
    def __init__(self, address, authkey):
        self.manager = RemoteQueueManager(address, authkey)
        self.queues = None

    def connect(self):
        RemoteQueueManager.register(GET_TASK_Q_FUNC_NAME)
        RemoteQueueManager.register(GET_RESULT_Q_FUNC_NAME)
        self.manager.connect()
        self.queues = self.manager.get_task_queue(), self.manager.get_result_queue()

    def get_task_queue(self):
        if self.queues is None:
            self.connect()
        return self.queues[0]

    def get_result_queue(self):
        if self.queues is None:
            self.connect()
        return self.queues[1]


def run():
    print("Hello World!")


def shutdown():
    return 'shutdown'


def name(f):
    return f'{f.__module__}.{f.__qualname__}'


def server():
    server = RemoteQueueServer(('127.0.0.1', 0), b'password')
    task_queue = server.get_task_queue()
    result_queue = server.get_result_queue()
    peer = Process(target=client, args=(server.manager.address,))
    peer.start()
    tasks = [run, shutdown]
    while True:
        n = task_queue.get()
        if n in tasks:
            r = n()
        else:
            known = ', '.join(map(name, tasks))
            r = f'refused: no task is registered as `{name(n)}`; there are: {known}'
        result_queue.put(r)
        if r == 'shutdown':
            break
    peer.join()
    server.shutdown()
    print('worker exit.')


def client(address):
    client = RemoteQueueClient(address, b'password')
    tasks = [run, platform.node, run, shutdown]
    for task in tasks:
        client.get_task_queue().put(task)
    for task in tasks:
        print('Result: %s' % client.get_result_queue().get(timeout=10))
    print('client exit.')


if __name__ == '__main__':
    server()
