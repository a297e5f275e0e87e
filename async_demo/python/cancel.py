import asyncio


async def sleeper(begun):
    print('the sleeper begins')
    try:
        begun.set()
        await asyncio.get_running_loop().create_future()
    finally:
        print('the sleeper cleans up')


async def quick():
    return 'result'


async def stubborn(begun):
    print('the stubborn one begins')
    try:
        begun.set()
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        print('the stubborn one is asked to end')
    await asyncio.sleep(0)
    return 'a result all the same'


async def main():
    begun = asyncio.Event()
    task = asyncio.create_task(sleeper(begun))
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print('the sleeper is cancelled')

    begun = asyncio.Event()
    task = asyncio.create_task(sleeper(begun))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        assert not begun.is_set()
        print('another never began')

    task = asyncio.create_task(quick())
    while not task.done():
        await asyncio.sleep(0)
    task.cancel()
    print('too late:', task.result())

    begun = asyncio.Event()
    task = asyncio.create_task(stubborn(begun))
    await begun.wait()
    task.cancel()
    print('refused:', await task)


if __name__ == '__main__':
    asyncio.run(main())
