from multiprocessing import Pipe, Process
import os
import signal
import time

SECOND = 0.1


def child(pipe, parents_end):
    parents_end.close()
    try:
        greeting = pipe.recv()
    except EOFError:
        return
    print('Child process {} receive {}'.format(os.getpid(), greeting))
    time.sleep(SECOND)
    pipe.send(greeting)


def start():
    parent_pipe, child_pipe = Pipe()
    p = Process(target=child, args=(child_pipe, parent_pipe))
    p.start()
    child_pipe.close()
    return parent_pipe, p


def poll(pipe, timeout):
    print('Main process {} poll {}'.format(os.getpid(), 'ready' if pipe.poll(timeout) else 'empty'))


def expect_end_of_file(pipe, p):
    try:
        raise SystemExit('expected the end of file, received {!r}'.format(pipe.recv()))
    except EOFError:
        print('Main process {} end of file'.format(os.getpid()))
    p.join()
    if p.exitcode < 0:
        print('Child process {} killed by signal {}'.format(p.pid, -p.exitcode))
    else:
        print('Child process {} ended: exit status: {}'.format(p.pid, p.exitcode))


if __name__ == '__main__':
    pipe, p = start()
    poll(pipe, SECOND)
    pipe.send('Hello')
    poll(pipe, 100 * SECOND)
    print('Main process {} receive {}'.format(os.getpid(), pipe.recv()))
    expect_end_of_file(pipe, p)

    pipe, p = start()
    print('Main process {} kill {}'.format(os.getpid(), p.pid))
    os.kill(p.pid, signal.SIGKILL)
    expect_end_of_file(pipe, p)
