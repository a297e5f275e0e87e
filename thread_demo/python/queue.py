import queue  # The standard module: run this with `python3 -P`, because this folder has a queue.py.
import threading
import time

SECOND = 0.1

q = queue.Queue()


def worker():
    while True:
        item = q.get()
        if item is None:
            q.task_done()
            return
        time.sleep(SECOND / 20)
        print('done {}'.format(item))
        q.task_done()


t = threading.Thread(target=worker)
t.start()
for item in range(30):
    q.put(item)

q.join()
print('joined')
q.put(None)
t.join()
print('the worker has ended')
try:
    q.task_done()
except ValueError as error:
    print(error)
