from multiprocessing import get_context
import os

MOST = 2 ** 32 - 1
spawn = get_context('spawn')


def serve(pipe):
    print('process {} serves'.format(os.getpid()))
    while True:
        try:
            kind, a, b = pipe.recv()
        except EOFError:
            return
        if kind == 'Divide' and b == 0:
            os.abort()  # stands for a bug in a C library, which raises no exception
        result = a + b if kind == 'Add' else a // b
        pipe.send(result if result <= MOST else 'too large')


def start():
    pipe, childs_end = spawn.Pipe()
    p = spawn.Process(target=serve, args=(childs_end,))
    p.start()
    childs_end.close()
    return pipe, p


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    pipe, p = start()
    for request in [('Add', 1, 2), ('Divide', 1, 0), ('Add', MOST, 1), ('Divide', 7, 2)]:
        text = '{}({}, {})'.format(*request)
        pipe.send(request)
        try:
            print('{}: {}'.format(text, pipe.recv()))
        except EOFError:
            p.join()
            print('{}: process {} crashed, signal {}'.format(text, p.pid, -p.exitcode))
            pipe, p = start()
    pipe.close()
    p.join()
