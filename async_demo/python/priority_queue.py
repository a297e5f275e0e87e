import asyncio


async def produce(queue, begun):
    print('put 0 fix:', 'no room' if queue.full() else 'room')
    begun.set()
    await queue.put((0, 'fix'))
    print('fix is in the queue')


async def print_next(queue):
    priority, task = await queue.get()
    print('get', priority, task)


async def main():
    tasks = [(3, 'test'), (2, 'write b'), (1, 'design'), (2, 'write a')]
    queue = asyncio.PriorityQueue(len(tasks))
    for task in tasks:
        queue.put_nowait(task)
    try:
        queue.put_nowait((4, 'publish'))
    except asyncio.QueueFull:
        print('publish: the queue is full')

    begun = asyncio.Event()
    producer = asyncio.create_task(produce(queue, begun))
    await begun.wait()
    await print_next(queue)
    await producer
    while not queue.empty():
        await print_next(queue)


if __name__ == '__main__':
    asyncio.run(main())
