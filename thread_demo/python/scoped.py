import threading


def double(tid, numbers):
    part = slice(2 * tid, 2 * tid + 2)
    numbers[part] = [2 * number for number in numbers[part]]
    print('thread {} made {}'.format(tid, numbers[part]))


numbers = [1, 2, 3, 4, 5, 6, 7, 8]
tl = [threading.Thread(target=double, args=(tid, numbers)) for tid in range(4)]
[t.start() for t in tl]
[t.join() for t in tl]
print('all together {}'.format(numbers))
