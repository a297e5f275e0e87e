import asyncio

made = 0
over = 0


def factory(loop, coro, **kwargs):
    global made
    made += 1
    number = made
    print('task %d is made: %s' % (number, coro.__name__.replace('_', ' ')))

    def is_over(task):
        global over
        over += 1
        print('task %d is over' % number)

    task = asyncio.Task(coro, loop=loop, **kwargs)
    task.add_done_callback(is_over)
    return task


async def returns():
    return 42


async def waits_for_ever():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    print('the first returned', await asyncio.create_task(returns()))
    second = asyncio.create_task(waits_for_ever())
    await asyncio.sleep(0)
    second.cancel()
    try:
        await second
    except asyncio.CancelledError:
        print('the second was cancelled')
    loop.set_task_factory(None)  # asyncio.run makes tasks of its own at the end
    print('made: %d, over: %d' % (made, over))


if __name__ == '__main__':
    asyncio.run(main())
