import asyncio
import time

SECOND = 0.1


async def loop_task():
    rounds = 0
    try:
        while True:
            print('loop')
            rounds += 1
            await asyncio.sleep(SECOND)
    finally:
        print('loop task is cancelled after %d rounds' % rounds)


async def delay_task():
    await asyncio.sleep(3 * SECOND)
    print('after delay business logic')


async def main_task():
    print('start loop task')
    loop = asyncio.create_task(loop_task())
    print('start delay task')
    return loop, asyncio.create_task(delay_task())


async def main():
    begun = time.monotonic()
    loop, delay = await asyncio.create_task(main_task())
    print('main task has ended')
    await delay
    print('main ends after %.6f seconds' % ((time.monotonic() - begun) / SECOND))


if __name__ == '__main__':
    asyncio.run(main())
