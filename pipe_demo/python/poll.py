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
    start = time.time()
    found = 'ready' if pipe.poll(timeout) else 'empty'
    seconds = (time.time() - start) / SECOND
    print('Main process {} poll {} after {:.1f} s'.format(os.getpid(), found, seconds))


def expect_end_of_file(pipe, p):
    try:
        raise SystemExit('expected the end of file, received {!r}'.format(pipe.recv()))
    except EOFError:
        print('Main process {} end of file'.format(os.getpid()))
    p.join()
    how = 'signal {}'.format(-p.exitcode) if p.exitcode < 0 else 'exit code {}'.format(p.exitcode)
    print('Child process {} ended: {}'.format(p.pid, how))


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
