from multiprocessing import get_context
import os

forkserver = get_context('forkserver')


def child(q):
    for _ in range(3):
        print('child process {} got {}'.format(os.getpid(), q.get()))


def word(empty):
    return 'yes' if empty else 'no'


if __name__ == '__main__':
    q = forkserver.SimpleQueue()
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
    for item in ('spam', 'ham', 'eggs'):
        q.put(item)
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
    p = forkserver.Process(target=child, args=(q,))
    p.start()
    p.join()
    print('main process {} empty: {}'.format(os.getpid(), word(q.empty())))
