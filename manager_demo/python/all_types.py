from multiprocessing import Manager, Process


def child(list, dict, namespace, queue, value, array):
    list.append(0)
    list.sort()
    dict['c'] = dict.pop('a'), 3
    namespace.y = [namespace.x, 2]
    queue.put((queue.get(), 'hello'))
    value.value = 3.1415927
    for i in range(len(array)):
        array[i] = -array[i]


if __name__ == '__main__':
    with Manager() as manager:
        list = manager.list([3, 1, 2])
        dict = manager.dict([('b', 2), ('a', 1)])
        namespace = manager.Namespace(x=1)
        queue = manager.Queue()
        queue.put('你好')
        value = manager.Value('d', 0.0)
        array = manager.Array('i', range(10))
        process = Process(target=child, args=(list, dict, namespace, queue, value, array))
        process.start()
        process.join()
        print(f'list: {list}')
        print(f'dict: {dict}')
        print(f'Namespace: {namespace}')
        print(f'Queue: {queue.get()}')
        print(f'Value: {value.value}')
        print(f'Array: {array}')
