from ctypes import Structure, c_double
from multiprocessing import get_context
import os

fork = get_context('fork')


class Point(Structure):
    _fields_ = [('x', c_double), ('y', c_double)]


def modify(n, s, points):
    print('child process {} ppid is {}'.format(os.getpid(), os.getppid()))
    n.value *= 7
    s.value = s.value.upper()
    for point in points:
        point.x **= 2
        point.y **= 2


if __name__ == '__main__':
    n = fork.Value('i', 7)
    s = fork.Array('c', b'hello world')
    points = fork.Array(Point, [(1.875, -6.25), (-5.75, 2.5)])

    p = fork.Process(target=modify, args=(n, s, points))
    p.start()
    p.join()

    print(n.value)
    print(s.value.decode())
    for point in points:
        print('({}, {})'.format(point.x, point.y))
