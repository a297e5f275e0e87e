import queue  # The standard module: run this with `python3 -P`, because this folder has a queue.py.
import threading

q = queue.Queue()


def worker():
    while True:
        item = q.get()
        print('done {}'.format(item))
        q.task_done()


threading.Thread(target=worker, daemon=True).start()
for item in range(3):
    q.put(item)

q.join()
print('main ends while the worker waits for more')
