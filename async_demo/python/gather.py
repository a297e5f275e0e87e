import asyncio

SECOND = 0.1
TASKS = 5


async def task(i, block_time):
    print('任务%d阻塞之前' % i)
    await asyncio.sleep(block_time * SECOND)
    print('任务%d阻塞之后' % i)
    return i


async def main():
    tasks = [task(i, TASKS - i) for i in range(TASKS)]
    for i in await asyncio.gather(*tasks):
        print(i)


if __name__ == '__main__':
    asyncio.run(main())
