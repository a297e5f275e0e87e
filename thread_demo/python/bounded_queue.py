import queue  # The standard module: run this with `python3 -P`, because this folder has a queue.py.
import threading
import time

SECOND = 0.1


def refused(what, call, *args, **kwargs):
    begun = time.perf_counter()
    try:
        call(*args, **kwargs)
    except queue.Full:
        error = 'full'
    except queue.Empty:
        error = 'empty'
    seconds = (time.perf_counter() - begun) / SECOND
    print('{}: the queue is {} after {:.6f} seconds'.format(what, error, seconds))


q = queue.Queue(2)
q.put('a')
q.put('b')
refused('put_nowait', q.put_nowait, 'c')
refused('put with a timeout', q.put, 'c', timeout=SECOND)
t = threading.Thread(target=q.put, args=('c',))
t.start()
time.sleep(SECOND)
print('main gets', q.get())
t.join()
print('the thread has put c')
print('main gets', q.get())
print('main gets', q.get(timeout=SECOND))
refused('get_nowait', q.get_nowait)
refused('get with a timeout', q.get, timeout=SECOND)
