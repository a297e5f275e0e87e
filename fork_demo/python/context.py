import multiprocessing
import os

changed = False  # a forked child inherits the change, a spawned one does not


def child(method):
    print('{}: child process pid is {} ppid is {} changed is {}'.format(
        method, os.getpid(), os.getppid(), str(changed).lower()))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    changed = True
    for method in ('spawn', 'fork'):
        try:
            multiprocessing.set_start_method(method)
            print('set_start_method {}'.format(method))
        except RuntimeError as error:
            print('set_start_method {}: {}'.format(method, error))
    default = multiprocessing.Process(target=child, args=(multiprocessing.get_start_method(),))
    default.start()
    forked = multiprocessing.get_context('fork').Process(target=child, args=('fork',))
    forked.start()
    for p in (default, forked):
        p.join()
        print('main process joined {}, exit code {}'.format(p.pid, p.exitcode))
