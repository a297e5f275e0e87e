from contextvars import ContextVar
import asyncio

client = ContextVar('client')


def goodbye():
    return 'Good bye, client @ {}'.format(client.get())


async def serve(n):
    client.set(n)
    print('task {} begins'.format(client.get()))
    await asyncio.sleep(0)  # The other tasks begin meanwhile.
    print(goodbye())


async def main():
    await asyncio.gather(*(serve(n) for n in (1, 2, 3)))
    print('main has joined 3 tasks')


if __name__ == '__main__':
    asyncio.run(main())
