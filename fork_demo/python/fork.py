import os

print('main pid is {}'.format(os.getpid()))
pid = os.fork()

if pid:
    print('main receive child pid is {}'.format(pid))
    print('main pid is {}, ppid is {}'.format(os.getpid(), os.getppid()))
    os.waitpid(pid, 0)
else:
    print('child pid is {}, ppid is {}'.format(os.getpid(), os.getppid()))
