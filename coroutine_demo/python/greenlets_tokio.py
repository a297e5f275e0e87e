import asyncio

SECOND = 0.1
ROUNDS = 4


async def task(count, begin, printed):
    while True:
        await begin.get()
        print(count)
        printed.task_done()


async def main():
    printed = asyncio.Queue()
    tasks, begins = [], []
    for count in range(1, ROUNDS + 1):
        print('new task count %s' % count)
        begins.append(asyncio.Queue())
        tasks.append(asyncio.create_task(task(count, begins[-1], printed)))
        for begin in begins:
            printed.put_nowait(count)
            begin.put_nowait(count)
        await printed.join()
        await asyncio.sleep(SECOND)
    for t in tasks:
        t.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == '__main__':
    asyncio.run(main())
