import asyncio


async def detached(runs, end):
    print('the task runs')
    try:
        runs.set()
        await end.wait()
    finally:
        print('the task cleans up')


async def main(end):
    runs = asyncio.Event()
    # The event holds a reference to the waiting task; the loop does not.
    asyncio.create_task(detached(runs, end))
    print('main has dropped the handle')
    await runs.wait()
    print('main ends')


if __name__ == '__main__':
    end = asyncio.Event()
    asyncio.run(main(end))
