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
            os.abort()  # stands for a bug in a C library, which no exception reports
        result = a + b if kind == 'Add' else a // b
        pipe.send(result if result <= MOST else 'too large')


class Guard:
    """A child that answers requests."""

    def __init__(self):
        self.pipe, childs_end = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(childs_end,))
        self.process.start()
        childs_end.close()

    def ask(self, request):
        """Asks the child. If it crashes, the request fails and a new child takes its place."""
        self.pipe.send(request)
        try:
            return self.pipe.recv()
        except EOFError:
            crashed = self.process
            self.__init__()
        crashed.join()
        return 'process {} crashed, signal {}'.format(crashed.pid, -crashed.exitcode)


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    guard = Guard()
    for request in [('Add', 1, 2), ('Divide', 1, 0), ('Add', MOST, 1), ('Divide', 7, 2)]:
        kind, a, b = request
        print('{}({}, {}): {}'.format(kind, a, b, guard.ask(request)))
    guard.pipe.close()
    guard.process.join()
