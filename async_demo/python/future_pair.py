import asyncio

SECOND = 0.1


async def task_a(future):
    await asyncio.sleep(3 * SECOND)
    future.set_result(True)
    print('task a complete.')


async def task_b(future):
    await asyncio.sleep(SECOND)
    future.set_result(True)
    print('task b complete.')


async def all_task(future):
    loop = asyncio.get_running_loop()
    future_a = loop.create_future()
    future_b = loop.create_future()
    a = loop.create_task(task_a(future_a))
    b = loop.create_task(task_b(future_b))
    result_a = await future_a
    print('get a result')
    result_b = await future_b
    print('get b result')
    await asyncio.gather(a, b)
    future.set_result(result_a and result_b)


async def main():
    loop = asyncio.get_running_loop()
    future_all = loop.create_future()
    task = loop.create_task(all_task(future_all))
    if await future_all:
        print('all task success')
    await task


if __name__ == '__main__':
    asyncio.run(main())
