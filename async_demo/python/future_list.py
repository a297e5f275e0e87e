import asyncio

SECOND = 0.1
TASKS = 5


async def task(i, block_time, future):
    print('任务%d阻塞之前' % i)
    await asyncio.sleep(block_time * SECOND)
    print('任务%d阻塞之后' % i)
    future.set_result(i)


async def main():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for i in range(TASKS)]
    tasks = [loop.create_task(task(i, TASKS - i, futures[i])) for i in range(TASKS)]
    results = [await future for future in futures]
    for result in results:
        print('result: %d' % result)
    await asyncio.gather(*tasks)


if __name__ == '__main__':
    asyncio.run(main())
