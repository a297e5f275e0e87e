import asyncio


def hello(loop, number):
    print('callback %d runs' % number)
    if number < 3:
        loop.call_soon(print, 'the one that %d handed in runs' % number)


async def task():
    print('the task runs in its turn')


def main():
    loop = asyncio.new_event_loop()
    for number in range(1, 4):
        loop.call_soon(hello, loop, number)
    cancelled = loop.call_soon(print, 'never called')
    cancelled.cancel()
    print('handed in: 3, and one that was cancelled')
    loop.run_until_complete(task())
    loop.close()


if __name__ == '__main__':
    main()
