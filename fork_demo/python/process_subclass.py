from multiprocessing import get_context
import os

spawn = get_context('spawn')  # the attributes are pickled and sent to the child
changed = False


class P(spawn.Process):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def run(self):
        print('child process pid is {} ppid is {} number is {} changed is {}'.format(
            os.getpid(), os.getppid(), self.number, str(changed).lower()))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    changed = True
    pl = [P(number) for number in range(6)]
    [p.start() for p in pl]
    [p.join() for p in pl]
    print('main process joined 6 child processes')
