import asyncio
import time

SECOND = 0.1


async def say_after(delay, what):
    print('%s in %d' % (what, delay))
    await asyncio.sleep(delay * SECOND)
    print(what)


async def main():
    started = time.monotonic()
    print('started')
    await say_after(1, 'hello')
    await say_after(2, 'world')
    print('finished after %.6f seconds' % ((time.monotonic() - started) / SECOND))


if __name__ == '__main__':
    asyncio.run(main())
