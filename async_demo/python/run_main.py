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
    print('an object of %d bytes' % sys.getsizeof(unused))
    unused.close()
    print('it is gone')
    run(coroutine())
    print('again')
    run(coroutine())
