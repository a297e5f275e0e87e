import asyncio

SECOND = 0.1
SIZE = 3


async def main():
    queue = asyncio.LifoQueue(SIZE)
    for item in range(SIZE):
        await queue.put(item)
    print('{} items, full: {}'.format(queue.qsize(), str(queue.full()).lower()))
    print('get', await queue.get())
    await queue.put(SIZE)
    got = 1
    while True:
        try:
            print('get', queue.get_nowait())
            got += 1
        except asyncio.QueueEmpty:
            break
    try:
        await asyncio.wait_for(queue.get(), SECOND)
    except asyncio.TimeoutError:
        print('nothing came in a second')

    try:
        await asyncio.wait_for(queue.join(), SECOND)
    except asyncio.TimeoutError:
        print('not all is done')
    worker = asyncio.create_task(work(queue, got))
    await queue.join()
    print('joined')
    await worker


async def work(queue, items):
    for n in range(1, items + 1):
        print('done', n)
        queue.task_done()
    try:
        queue.task_done()
    except ValueError as error:
        print(error)


if __name__ == '__main__':
    asyncio.run(main())
