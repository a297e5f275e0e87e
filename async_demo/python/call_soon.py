import asyncio


CALLBACKS = 3


def hello(loop, number):
    print('callback %d runs' % number)
    if number < CALLBACKS:
        loop.call_soon(print, 'a callback of callback %d runs' % number)


async def task():
    print('the task runs in its turn')


def main():
    loop = asyncio.new_event_loop()
    for number in range(1, CALLBACKS + 1):
        loop.call_soon(hello, loop, number)
    cancelled = loop.call_soon(print, 'never called')
    cancelled.cancel()
    print('submitted: %d, and one that was cancelled' % CALLBACKS)
    loop.run_until_complete(task())
    loop.close()


if __name__ == '__main__':
    main()
