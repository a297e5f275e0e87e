from contextvars import ContextVar
import asyncio

client = ContextVar('client')


def goodbye():
    return 'Good bye, client @ {}'.format(client.get())


async def serve(n, all_begun):
    client.set(n)
    print('task {} begins'.format(client.get()))
    await all_begun.wait()
    print(goodbye())


async def main():
    all_begun = asyncio.Barrier(3)
    await asyncio.gather(*(serve(n, all_begun) for n in (1, 2, 3)))
    print('main has joined 3 tasks')


if __name__ == '__main__':
    asyncio.run(main())
