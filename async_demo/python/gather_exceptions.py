import asyncio

SECOND = 0.1
TASKS = 3
FAILING = 1


async def task(i):
    if i == FAILING:
        raise ValueError('task %d failed' % i)
    try:
        await asyncio.sleep(2 * SECOND)
    except asyncio.CancelledError:
        print('task %d is cancelled' % i)
        raise
    print('task %d ends' % i)
    return i


async def main():
    tasks = [asyncio.create_task(task(i)) for i in range(TASKS)]
    try:
        print('results:', await asyncio.gather(*tasks))
    except ValueError as error:
        print('gather raises: %s' % error)
    print('the others return:', [await task for i, task in enumerate(tasks) if i != FAILING])

    tasks = [task(i) for i in range(TASKS)]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        print('result: %s' % result)

    try:
        async with asyncio.TaskGroup() as group:
            for i in range(TASKS):
                group.create_task(task(i))
    except* ValueError as errors:
        for error in errors.exceptions:
            print('group: %s' % error)
    print('the group has ended')


if __name__ == '__main__':
    asyncio.run(main())
