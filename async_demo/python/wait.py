import asyncio

SECOND = 0.1


async def task(end):
    await end


def show(what, done, pending):
    names = [', '.join(sorted(task.get_name() for task in tasks)) for tasks in (done, pending)]
    print('%s: done [%s], pending [%s]' % (what, *names))


async def main():
    loop = asyncio.get_running_loop()
    ends = {name: loop.create_future() for name in ['early', 'failing', 'normal', 'slow']}
    tasks = [asyncio.create_task(task(end), name=name) for name, end in ends.items()]
    ends['early'].set_result(None)
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    show('FIRST_COMPLETED', done, pending)

    ends['normal'].set_result(None)
    done, pending = await asyncio.wait(pending, timeout=SECOND, return_when=asyncio.FIRST_EXCEPTION)
    show('timeout', done, pending)

    ends['failing'].set_exception(RuntimeError('failed'))
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
    show('FIRST_EXCEPTION', done, pending)
    assert done.pop().exception()

    ends['slow'].set_result(None)
    done, pending = await asyncio.wait(pending, return_when=asyncio.ALL_COMPLETED)
    show('ALL_COMPLETED', done, pending)


if __name__ == '__main__':
    asyncio.run(main())
