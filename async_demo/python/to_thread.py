import asyncio
import queue
import threading

SECOND = 0.1


def blocking(told):
    number = told.get()
    if number is None:
        raise RuntimeError('the loop sent nothing')
    print('the function was told {} in thread {}'.format(number, threading.get_native_id()))
    return number + 1


async def main():
    told = queue.Queue()
    call = asyncio.create_task(asyncio.to_thread(blocking, told))
    await asyncio.sleep(0)
    print('the loop goes on in thread {}'.format(threading.get_native_id()))
    told.put(41)
    print('it returned {}'.format(await call))

    told.put(None)
    try:
        await asyncio.to_thread(blocking, told)
    except RuntimeError as error:
        print('it failed: {}'.format(error))

    await cannot_be_cancelled()


async def cannot_be_cancelled():
    loop = asyncio.get_running_loop()
    begun, ended, go_on = asyncio.Event(), asyncio.Event(), threading.Event()

    def wait():
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        print('the function ends later')
        loop.call_soon_threadsafe(ended.set)

    call = asyncio.create_task(asyncio.to_thread(wait))
    await begun.wait()
    try:
        await asyncio.wait_for(call, SECOND)
    except TimeoutError:
        print('main stops waiting for it')
    go_on.set()
    await ended.wait()


if __name__ == '__main__':
    asyncio.run(main())
