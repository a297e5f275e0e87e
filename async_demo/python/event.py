import asyncio

SECOND = 0.1
TASKS = 3


async def main():
    event = asyncio.Event()
    for clear in False, True:
        begun = asyncio.Queue()
        tasks = [asyncio.create_task(waiter(n, event, begun)) for n in range(1, TASKS + 1)]
        for _ in range(TASKS):
            await begun.get()
        event.set()
        print('main has set it')
        if clear:
            event.clear()
            print('main has cleared it')
        await asyncio.gather(*tasks)
        print('set:', str(event.is_set()).lower())
        event.clear()
    try:
        await asyncio.wait_for(event.wait(), SECOND)
    except asyncio.TimeoutError:
        print('main has waited too long')


async def waiter(n, event, begun):
    print('{}: waiting for it ...'.format(n))
    begun.put_nowait(None)
    await event.wait()
    print('{}: ... got it!'.format(n))


if __name__ == '__main__':
    asyncio.run(main())
