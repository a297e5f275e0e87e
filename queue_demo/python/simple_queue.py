from multiprocessing import forkserver, get_context
import os

context = get_context('forkserver')


def child(q):
    print('child process {} ppid is {}'.format(os.getpid(), os.getppid()))
    while not q.empty():
        print('child process {} got {}'.format(os.getpid(), q.get()))


def word(empty):
    return str(empty).lower()


if __name__ == '__main__':
    q = context.SimpleQueue()
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
    for item in ('spam', 'ham', 'eggs'):
        q.put(item)
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
    forkserver.ensure_running()
    print('fork server pid is {}'.format(forkserver._forkserver._forkserver_pid))
    p = context.Process(target=child, args=(q,))
    p.start()
    p.join()
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
