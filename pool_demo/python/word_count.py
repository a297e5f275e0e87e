from collections import Counter
from multiprocessing import get_context
import os
import re
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))  # the folder with the files to count


def count(path):
    with open(path) as file:
        return os.getpid(), Counter(re.findall(r'[^\W_]+', file.read().lower()))


if __name__ == '__main__':
    print('main process pid is {}'.format(os.getpid()))
    files = sys.argv[1:] or [entry.path for entry in os.scandir(FOLDER) if entry.is_file()]
    with get_context('fork').Pool() as p:
        counts = p.map(count, files)
    total = Counter()
    for path, (worker, words) in zip(files, counts):
        print('worker {} counted {} words in {}'.format(worker, sum(words.values()), path))
        total += words
    print('{} words in {} files'.format(sum(total.values()), len(files)))
    for word, n in total.most_common(3):
        print('{} times {}'.format(n, word))
