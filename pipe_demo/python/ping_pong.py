from multiprocessing import Pipe, Process
import os
import time

SECOND = 0.1
ROUNDS = 3


def r(pipe, parents_end):
    parents_end.close()  # else the child itself would keep the pipe open
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

    parent_pipe.send('Hello')
    for round in range(1, ROUNDS + 1):
        greeting = parent_pipe.recv()
        print('Main process {} receive {}'.format(os.getpid(), greeting))
        time.sleep(SECOND)
        if round < ROUNDS:
            parent_pipe.send(greeting)
    parent_pipe.close()
    p.join()
