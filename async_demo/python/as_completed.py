import asyncio

SECOND = 0.1
TASKS = 5


async def task(i, block_time, begun, turn):
    print('任务%d阻塞之前' % i)
    await asyncio.sleep(block_time * SECOND)
    await turn.acquire()
    print('任务%d阻塞之后' % i)
    print('loop time: %.6f' % ((asyncio.get_running_loop().time() - begun) / SECOND))
    return i


async def main():
    begun = asyncio.get_running_loop().time()
    turn = asyncio.Semaphore(1)
    tasks = [task(i, TASKS - i, begun, turn) for i in range(TASKS)]
    for t in asyncio.as_completed(tasks):
        print('task return: %d' % await t)
        turn.release()


if __name__ == '__main__':
    asyncio.run(main())
