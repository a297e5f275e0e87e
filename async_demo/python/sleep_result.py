import asyncio
import time

SECOND = 0.1


def sleep_for(delay, result):
    return asyncio.sleep(delay * SECOND, result)


def seconds(begun):
    return (time.monotonic() - begun) / SECOND


async def main():
    begun = time.monotonic()
    print(await sleep_for(1, 'hello'))
    print('after %.6f seconds' % seconds(begun))

    begun = time.monotonic()
    results = await asyncio.gather(sleep_for(3, 'a'), sleep_for(1, 'b'), sleep_for(2, 'c'))
    print(', '.join(results))
    print('after %.6f seconds' % seconds(begun))


if __name__ == '__main__':
    asyncio.run(main())
