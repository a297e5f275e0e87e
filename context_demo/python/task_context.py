from contextvars import ContextVar
import asyncio

client = ContextVar('client')


def goodbye():
    return 'Good bye, client @ {}'.format(client.get())


async def serve(n):
    print('task {} begins with client {}'.format(n, client.get()))
    client.set(n)
    await asyncio.sleep(0)  # The other tasks set their values meanwhile.
    print('task {}: {}'.format(n, goodbye()))


async def serve_until_cancelled(n):
    print('task {} begins with client {}'.format(n, client.get()))
    client.set(n)
    try:
        await asyncio.Future()
    finally:
        print('task {} is cancelled: {}'.format(n, goodbye()))


async def main():
    client.set('nobody')
    tasks = [asyncio.create_task(serve(n)) for n in (1, 2)]
    cancelled = asyncio.create_task(serve_until_cancelled(3))
    client.set('main')
    await asyncio.gather(*tasks)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    print(goodbye())


if __name__ == '__main__':
    asyncio.run(main())
