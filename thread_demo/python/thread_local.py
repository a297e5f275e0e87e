import threading

THREADS = 4

var = threading.local()
all_have_set = threading.Barrier(THREADS)


def text():
    return getattr(var, 'value', 'nothing')


def run(tid):
    found = text()
    var.value = tid
    all_have_set.wait()
    print('thread {} found {}'.format(tid, found))
    print('thread {} has {}'.format(tid, text()))


var.value = 100
tl = [threading.Thread(target=run, args=(tid,)) for tid in range(THREADS)]
[t.start() for t in tl]
[t.join() for t in tl]
print('main has {}'.format(text()))
