import asyncio


async def inner(barrier):
    print('the inner one begins')
    try:
        await barrier.wait()
        await barrier.wait()
    except asyncio.CancelledError:
        print('the inner one is cancelled')
        raise
    print('the inner one ends')
    return 42


async def outer(awaitable):
    return await awaitable


async def cancel(awaitable, barrier):
    task = asyncio.create_task(outer(awaitable))
    await barrier.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print('the outer one is cancelled')


async def main():
    barrier = asyncio.Barrier(2)
    task = asyncio.create_task(inner(barrier))
    await cancel(task, barrier)
    assert task.cancelled()
    print('no result')

    barrier = asyncio.Barrier(2)
    task = asyncio.create_task(inner(barrier))
    await cancel(asyncio.shield(task), barrier)
    await barrier.wait()
    print('result: %d' % await task)


if __name__ == '__main__':
    asyncio.run(main())
