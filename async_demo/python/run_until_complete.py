import asyncio
import types

SECOND = 0.1
TASKS = 5


@types.coroutine
def task(i, block_time):
    print('任务%d阻塞之前' % i)
    yield from asyncio.sleep(block_time * SECOND)
    print('任务%d阻塞之后' % i)


async def awaited(awaitable):
    await awaitable


async def result():
    return 'result'


if __name__ == '__main__':
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(awaited(task(i, TASKS - i))) for i in range(TASKS)]
    print('%d tasks are created' % len(tasks))
    done, pending = loop.run_until_complete(asyncio.wait(tasks))
    print('%d tasks are done' % len(done))
    print('again: %s' % loop.run_until_complete(result()))
    loop.close()
    print('the loop is closed')
