import asyncio


async def parse(text):
    try:
        return int(text)
    except ValueError:
        raise ValueError('%s is not a number' % text)


async def nth(list, n):
    assert n < len(list), 'index out of bounds: the len is %d but the index is %d' % (len(list), n)
    return list[n]


async def wait_forever():
    await asyncio.get_running_loop().create_future()


async def show(task):
    try:
        print('result: %d' % await task)
    except ValueError as error:
        print('error: %s' % error)
    except AssertionError as error:
        print('panic: %s' % error)
    except asyncio.CancelledError:
        print('cancelled')


async def main():
    await show(asyncio.create_task(parse('42')))
    await show(asyncio.create_task(parse('forty-two')))
    await show(asyncio.create_task(nth([1, 2], 2)))
    task = asyncio.create_task(wait_forever())
    task.cancel()
    await show(task)
    print('main ends')


if __name__ == '__main__':
    asyncio.run(main())
