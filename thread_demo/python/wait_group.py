import threading

THREADS = 4
ready = threading.Barrier(THREADS + 1)
go = threading.Event()
message = ''


def run(tid):
    print('thread {} is ready'.format(tid))
    ready.wait()
    go.wait()
    print('thread {}: {}'.format(tid, message))


threads = [threading.Thread(target=run, args=(tid,)) for tid in range(THREADS)]
for t in threads:
    t.start()
ready.wait()
print('all are ready')
message = 'go'
go.set()
for t in threads:
    t.join()
