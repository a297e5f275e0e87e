import random
import threading
import time

SECOND = 0.1


def loop():
    name = threading.current_thread().name
    for times in range(10):
        sleep_time = random.random()
        time.sleep(sleep_time * SECOND)
        print('{} sleep {}'.format(name, sleep_time))
    print('{} stop'.format(name))


tl = [threading.Thread(target=loop, name='thread {}'.format(i)) for i in range(4)]

[x.start() for x in tl]
[x.join() for x in tl]
print('all thread stoped')
