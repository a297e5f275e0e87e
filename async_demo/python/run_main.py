import asyncio
import sys
import time

SECOND = 0.1


async def coroutine():
    print('hello')
    await asyncio.sleep(SECOND)
    print('world')


def run(coroutine):
    begun = time.monotonic()
    asyncio.run(coroutine)
    print('%.6f seconds' % ((time.monotonic() - begun) / SECOND))


if __name__ == '__main__':
    unused = coroutine()
    print('a coroutine of %d bytes' % sys.getsizeof(unused))
    unused.close()
    print('it is dropped')
    run(coroutine())
    print('again')
    run(coroutine())
