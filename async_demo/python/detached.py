import asyncio


async def detached(runs):
    print('the task runs')
    try:
        runs.set()
        await asyncio.Event().wait()
    finally:
        print('the task cleans up')


async def main():
    runs = asyncio.Event()
    task = asyncio.create_task(detached(runs))
    print('main has dropped the handle')
    await runs.wait()
    print('main ends')
    return task


if __name__ == '__main__':
    asyncio.run(main())
