from multiprocessing import get_context
import os
import threading

# The files to search, and the word.
FOLDER = os.path.dirname(os.path.abspath(__file__))
WORD = '__main__'
WORKERS = 3
fork = get_context('fork')


def search(files, matches):
    while (path := files.get()) is not None:
        with open(path) as lines:
            for number, line in enumerate(lines, 1):
                if WORD in line:
                    matches.put((os.getpid(), path, number))


def join_and_close(workers, matches):
    [w.join() for w in workers]
    matches.put(None)


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    files, matches = fork.Queue(), fork.Queue()
    workers = [fork.Process(target=search, args=(files, matches)) for _ in range(WORKERS)]
    [w.start() for w in workers]
    for entry in os.scandir(FOLDER):
        if entry.is_file():
            files.put(entry.path)
    for _ in workers:
        files.put(None)
    joined = threading.Thread(target=join_and_close, args=(workers, matches))
    joined.start()
    count = 0
    while (match := matches.get()) is not None:
        count += 1
        print('worker {} found {}:{}'.format(*match))
    print('{} matches'.format(count))
    joined.join()
