from multiprocessing import Lock, Pipe, Process
import os
import time

SECOND = 0.1
WRITERS = 3
MESSAGES = 2


def writer(conn, lock):
    for message in range(1, MESSAGES + 1):
        with lock:
            for part in ('begin', 'middle', 'end'):
                conn.send((os.getpid(), message, part))
                time.sleep(SECOND / 10)


if __name__ == '__main__':
    reader, shared = Pipe(duplex=False)
    lock = Lock()
    writers = [Process(target=writer, args=(shared, lock)) for _ in range(WRITERS)]
    [w.start() for w in writers]
    shared.close()
    try:
        while True:
            pid, message, part = reader.recv()
            print('Main process {} receive {} of {} from {}'.format(os.getpid(), part, message, pid))
    except EOFError:
        pass
    [w.join() for w in writers]
