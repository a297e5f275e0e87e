import asyncio
import time

SECOND = 0.1


async def say_after(delay, what):
    print('%s in %d' % (what, delay))
    await asyncio.sleep(delay * SECOND)
    print(what)


async def main():
    task1 = asyncio.create_task(say_after(1, 'hello'))
    task2 = asyncio.create_task(say_after(2, 'world'))
    started = time.monotonic()
    print('started')
    await task1
    await task2
    print('finished after %.6f seconds' % ((time.monotonic() - started) / SECOND))

    task3 = asyncio.create_task(say_after(1, 'while main sleeps'))
    print('main sleeps')
    await asyncio.sleep(5 * SECOND)
    assert task3.done(), 'the task did not run'
    print('main has slept, the task is done')


if __name__ == '__main__':
    asyncio.run(main())
