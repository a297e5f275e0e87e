import asyncio

SECOND = 0.1


async def task(i, block_time, begun, printed):
    print('任务%d阻塞之前' % i)
    await asyncio.sleep(block_time * SECOND)
    await printed[i + 1].wait()
    print('任务%d阻塞之后' % i)
    print('loop time: %.6f' % (asyncio.get_running_loop().time() - begun))
    return i


async def main():
    begun = asyncio.get_running_loop().time()
    printed = [asyncio.Event() for _ in range(6)]
    printed[5].set()
    tasks = [task(i, 5 - i, begun, printed) for i in range(5)]
    for t in asyncio.as_completed(tasks):
        result = await t
        print('task return: %d' % result)
        printed[result].set()


if __name__ == '__main__':
    asyncio.run(main())
