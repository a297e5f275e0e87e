import asyncio
from functools import partial


async def succeed():
    return 42


async def fail():
    raise ValueError('no result')


async def wait_forever():
    await asyncio.get_running_loop().create_future()


def callback(name, task):
    if task.cancelled():
        print('%s: cancelled' % name)
    elif task.exception():
        print('%s: error %s' % (name, task.exception()))
    else:
        print('%s: result %s' % (name, task.result()))


async def main():
    task = asyncio.create_task(succeed())
    task.add_done_callback(partial(callback, 'first'))
    task.add_done_callback(partial(callback, 'second'))
    print('result: %d' % await task)

    task = asyncio.create_task(fail())
    task.add_done_callback(partial(callback, 'failing'))
    await asyncio.wait([task])

    task = asyncio.create_task(wait_forever())
    task.add_done_callback(partial(callback, 'cancelled'))
    task.cancel()
    await asyncio.wait([task])
    print('main ends')


if __name__ == '__main__':
    asyncio.run(main())
