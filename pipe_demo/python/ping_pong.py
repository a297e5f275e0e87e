from multiprocessing import Pipe, Process
import os
import time

SECOND = 0.1
ROUNDS = 3


def r(pipe, parents_end):
    parents_end.close()  # otherwise the child itself keeps the pipe open
    while True:
        try:
            greeting = pipe.recv()
        except EOFError:
            return
        print('Child process {} receive {}'.format(os.getpid(), greeting))
        time.sleep(SECOND)
        pipe.send(greeting)


if __name__ == '__main__':
    parent_pipe, child_pipe = Pipe()
    p = Process(target=r, args=(child_pipe, parent_pipe))
    p.start()
    child_pipe.close()

    greeting = 'Hello'
    for _ in range(ROUNDS):
        parent_pipe.send(greeting)
        greeting = parent_pipe.recv()
        print('Main process {} receive {}'.format(os.getpid(), greeting))
        time.sleep(SECOND)
    parent_pipe.close()
    p.join()
