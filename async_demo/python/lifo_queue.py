import asyncio

SECOND = 0.1


async def main():
    queue = asyncio.LifoQueue(3)
    for item in range(3):
        await queue.put(item)
    print('{} items, full: {}'.format(queue.qsize(), str(queue.full()).lower()))
    print('get', await queue.get())
    await queue.put(3)
    while True:
        try:
            print('get', queue.get_nowait())
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
    worker = asyncio.create_task(work(queue))
    await queue.join()
    print('joined')
    await worker


async def work(queue):
    for n in range(1, 5):
        print('done', n)
        queue.task_done()
    try:
        queue.task_done()
    except ValueError as error:
        print(error)


if __name__ == '__main__':
    asyncio.run(main())
