import asyncio


async def inner(begun, go_on):
    print('the inner one begins')
    try:
        begun.set()
        await go_on.wait()
    except asyncio.CancelledError:
        print('the inner one is cancelled')
        raise
    print('the inner one ends')
    return 42


async def outer(awaitable):
    return await awaitable


async def cancel(awaitable, begun, go_on):
    task = asyncio.create_task(outer(awaitable))
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print('the outer one is cancelled')
    go_on.set()


async def main():
    steps = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(inner(*steps))
    await cancel(task, *steps)
    assert task.cancelled()
    print('no result')

    steps = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(inner(*steps))
    await cancel(asyncio.shield(task), *steps)
    print('result: %d' % await task)


if __name__ == '__main__':
    asyncio.run(main())
