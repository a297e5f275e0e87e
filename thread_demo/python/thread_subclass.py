import random
import threading
import time

SECOND = 0.1


class T(threading.Thread):
    lock = threading.Lock()

    def __init__(self, tid):
        threading.Thread.__init__(self)
        self.tid = tid
        self.slept = 0

    def run(self):
        for times in range(10):
            sleep_time = random.random()
            time.sleep(sleep_time * SECOND)
            self.lock_print('thread {} sleep {}'.format(self.tid, sleep_time))
            self.slept += 1
        self.lock_print('thread {} stop'.format(self.tid))

    def lock_print(self, *args, **kw):
        with self.lock:
            print(*args, **kw)


tl = [T(i) for i in range(4)]
[t.start() for t in tl]
[t.join() for t in tl]
assert [t.slept for t in tl] == [10] * 4

print('all thread stoped')
