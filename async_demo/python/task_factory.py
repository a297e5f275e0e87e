import asyncio

created = 0
over = 0


def factory(loop, coro, **kwargs):
    global created
    created += 1
    number = created
    print('task %d is created: %s' % (number, coro.__name__.replace('_', ' ')))

    def is_over(task):
        global over
        over += 1
        print('task %d is over' % number)

    task = asyncio.Task(coro, loop=loop, **kwargs)
    task.add_done_callback(is_over)
    return task


async def returns():
    return 42


async def waits_forever():
    await asyncio.get_running_loop().create_future()


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    print('the first returned', await asyncio.create_task(returns()))
    second = asyncio.create_task(waits_forever())
    await asyncio.sleep(0)
    second.cancel()
    try:
        await second
    except asyncio.CancelledError:
        print('the second was cancelled')
    loop.set_task_factory(None)  # asyncio.run creates tasks of its own at the end.
    print('created: %d, over: %d' % (created, over))


if __name__ == '__main__':
    asyncio.run(main())
