from contextvars import ContextVar
import asyncio

client = ContextVar('client')


def goodbye():
    return 'Good bye, client @ {}'.format(client.get())


async def serve(n, all_set):
    print('task {} begins with client {}'.format(n, client.get()))
    client.set(n)
    await all_set.wait()
    print('task {}: {}'.format(n, goodbye()))


async def serve_for_ever(n, all_set):
    print('task {} begins with client {}'.format(n, client.get()))
    client.set(n)
    try:
        await all_set.wait()
        await asyncio.Future()
    finally:
        print('task {} is cancelled: {}'.format(n, goodbye()))


async def main():
    client.set('nobody')
    all_set = asyncio.Barrier(4)
    tasks = [asyncio.create_task(serve(n, all_set)) for n in (1, 2)]
    cancelled = asyncio.create_task(serve_for_ever(3, all_set))
    client.set('main')
    await all_set.wait()
    await asyncio.gather(*tasks)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    print(goodbye())


if __name__ == '__main__':
    asyncio.run(main())
