import functools
import queue
from multiprocessing import Process
from multiprocessing.managers import BaseManager

task_queue = queue.Queue()
result_queue = queue.Queue()


class QueueManager(BaseManager):
    pass


def get_task_queue():
    return task_queue


def get_result_queue():
    return result_queue


def server_exit():
    return 'exit'


QueueManager.register('get_task_queue', callable=get_task_queue)
QueueManager.register('get_result_queue', callable=get_result_queue)


def server():
    manager = QueueManager(address=('127.0.0.1', 0), authkey=b'abc')
    manager.start()
    peer = Process(target=client, args=(manager.address,))
    peer.start()
    task = manager.get_task_queue()
    result = manager.get_result_queue()
    while True:
        n = task.get()
        r = n()
        if r == 'exit':
            break
        result.put(r)
    peer.join()
    manager.shutdown()
    print('worker exit.')


def client(address):
    print('Connect to server %s...' % address[0])
    m = QueueManager(address=address, authkey=b'abc')
    m.connect()
    task = m.get_task_queue()
    result = m.get_result_queue()
    for i in range(10):
        n = functools.partial(print, 'Hello World!')
        print('Put task %s...' % n)
        task.put(n)
    task.put(functools.partial(server_exit))
    for i in range(10):
        r = result.get(timeout=10)
        print('Result: %s' % r)
    print('master exit.')


if __name__ == '__main__':
    server()
