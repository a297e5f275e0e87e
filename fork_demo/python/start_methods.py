from multiprocessing import forkserver, get_context
import os
import sys

FILE = '/dev/zero'  # no other code in these processes opens it
changed = False


def parent_of(pid):
    with open('/proc/{}/status'.format(pid)) as status:
        return next(line.split()[1] for line in status if line.startswith('PPid:'))


def is_open(file):
    fds = ('/proc/self/fd/' + fd for fd in os.listdir('/proc/self/fd'))
    return any(os.path.realpath(fd) == file for fd in fds)


def child(method, letter):
    variable = 'changed' if changed else 'unchanged'
    file = 'open' if is_open(FILE) else 'closed'
    parent = os.getppid()
    print('{}: child process pid is {} ppid is {}'.format(method, os.getpid(), parent))
    print("{}: the parent's ppid is {}".format(method, parent_of(parent)))
    print('{}: the variable is {}, the file is {}'.format(method, variable, file))
    if letter:
        print('{}: received {}'.format(method, letter.recv()))
    sys.exit(7)


def run(method, letter=None):
    p = get_context(method).Process(target=child, args=(method, letter))
    p.start()
    print('main process started {}'.format(p.pid))
    p.join()
    print('main process joined {}, exit code {}'.format(method, p.exitcode))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    changed = True
    os.open(FILE, os.O_RDONLY)
    run('fork')
    run('spawn')
    forkserver.ensure_running()
    print('fork server pid is {}'.format(forkserver._forkserver._forkserver_pid))
    reader, writer = get_context('forkserver').Pipe(duplex=False)
    writer.send('Hello')
    run('forkserver', reader)
