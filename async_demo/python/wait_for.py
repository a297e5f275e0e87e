import asyncio
import time

SECOND = 0.1


async def quick():
    await asyncio.sleep(SECOND)
    return 42


async def eternity(what):
    try:
        print('the %s waits forever' % what)
        await asyncio.get_running_loop().create_future()
    finally:
        print('the %s cleans up' % what)


async def main():
    print('in time: %d' % await asyncio.wait_for(quick(), 3600 * SECOND))

    begun = time.monotonic()
    try:
        await asyncio.wait_for(eternity('coroutine'), SECOND)
    except TimeoutError:
        print('timeout after %.6f seconds' % ((time.monotonic() - begun) / SECOND))

    task = asyncio.create_task(eternity('task'))
    try:
        await asyncio.wait_for(task, SECOND)
    except TimeoutError:
        assert task.cancelled()
        print('timeout')


if __name__ == '__main__':
    asyncio.run(main())
