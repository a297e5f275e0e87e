from multiprocessing import get_context, resource_tracker, shared_memory
import os
import signal


def own_segments(name, ready):
    scratch = shared_memory.SharedMemory(create=True, size=1)
    scratch.close()
    scratch.unlink()
    print('child process {} made a segment and unlinked it'.format(os.getpid()))
    segment = shared_memory.SharedMemory(name, create=True, size=1)
    print('child process {} made a segment'.format(os.getpid()))
    ready.send(None)
    signal.pause()


def look(name):
    return 'there' if os.path.exists('/dev/shm/' + name) else 'gone'


if __name__ == '__main__':
    os.environ['PYTHONWARNINGS'] = 'ignore'  # the tracker would warn about the memory that it unlinks
    name = 'resource_tracker.py.{}'.format(os.getpid())
    print('main process pid is {}'.format(os.getpid()))
    resource_tracker.ensure_running()
    fork = get_context('fork')
    ready, child_is_ready = fork.Pipe(duplex=False)
    p = fork.Process(target=own_segments, args=(name, child_is_ready))
    p.start()
    ready.recv()
    print('segment is {}'.format(look(name)))
    print('main process kill {}'.format(p.pid))
    p.kill()
    p.join()
    print('main process joined, signal {}'.format(-p.exitcode))
    print('segment is {}'.format(look(name)))
    resource_tracker._resource_tracker._stop()
    print('resource tracker ended')
    print('segment is {}'.format(look(name)))
