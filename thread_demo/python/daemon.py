import queue  # the standard one: run this with `python3 -P`, as there is a queue.py in this folder
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
print('main ends, the worker waits for more')
