import queue  # The standard module: run this with `python3 -P`, because this folder has a queue.py.
import threading
import time

SECOND = 0.1

q = queue.Queue()


def send(kind, items):
    for item in items:
        q.put((kind, item))
    q.put((kind, None))


begun = time.perf_counter()
try:
    q.get(timeout=SECOND)
except queue.Empty:
    print('nothing came in {:.6f} seconds'.format((time.perf_counter() - begun) / SECOND))
threads = [
    threading.Thread(target=send, args=('number', [0, 1, 2])),
    threading.Thread(target=send, args=('word', ['spam', 'ham', 'eggs'])),
]
for t in threads:
    t.start()
left = len(threads)
while left:
    kind, item = q.get()
    if item is None:
        print('no more {}s'.format(kind))
        left -= 1
    else:
        print(kind, item)
print('that was all')
