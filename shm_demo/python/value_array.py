from multiprocessing import get_context
import os

fork = get_context('fork')


def f(n, a):
    print('child process {} ppid is {}'.format(os.getpid(), os.getppid()))
    n.value = 3.1415927
    for i in range(len(a)):
        a[i] = -a[i]


if __name__ == '__main__':
    num = fork.Value('d', 0.0)
    arr = fork.Array('i', range(10))

    p = fork.Process(target=f, args=(num, arr))
    p.start()
    p.join()

    print(num.value)
    print(arr[:])
