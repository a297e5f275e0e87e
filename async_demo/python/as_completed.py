import asyncio

SECOND = 0.1


async def task(i, block_time, begun):
    print('任务%d阻塞之前' % i)
    await asyncio.sleep(block_time * SECOND)
    print('任务%d阻塞之后' % i)
    print('loop time: %.6f' % (asyncio.get_running_loop().time() - begun))
    return i


async def main():
    begun = asyncio.get_running_loop().time()
    tasks = [task(i, 5 - i, begun) for i in range(5)]
    for t in asyncio.as_completed(tasks):
        print('task return:', await t)


if __name__ == '__main__':
    asyncio.run(main())
