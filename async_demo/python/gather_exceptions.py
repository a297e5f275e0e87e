import asyncio


async def task(i, barrier):
    if i == 1:
        raise ValueError('task %d failed' % i)
    try:
        await barrier.wait()
    except asyncio.CancelledError:
        print('task %d is cancelled' % i)
        raise
    print('task %d ends' % i)
    return i


async def main():
    barrier = asyncio.Barrier(3)
    tasks = [asyncio.create_task(task(i, barrier)) for i in range(3)]
    try:
        print('results:', await asyncio.gather(*tasks))
    except ValueError as error:
        print('gather raises: %s' % error)
    await barrier.wait()
    print('the others return:', [await tasks[0], await tasks[2]])

    barrier = asyncio.Barrier(2)
    tasks = [task(i, barrier) for i in range(3)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        print('result: %s' % result)

    barrier = asyncio.Barrier(3)
    try:
        async with asyncio.TaskGroup() as group:
            for i in range(3):
                group.create_task(task(i, barrier))
    except* ValueError as errors:
        for error in errors.exceptions:
            print('group: %s' % error)
    print('the group has ended')


if __name__ == '__main__':
    asyncio.run(main())
