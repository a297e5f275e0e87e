import asyncio


def goodbye(client):
    return 'Good bye, client @ {}'.format(client)


async def serve(client):
    print('task {} begins'.format(client))
    await asyncio.sleep(0)  # The other tasks begin meanwhile.
    print(goodbye(client))


async def main():
    await asyncio.gather(*(serve(n) for n in (1, 2, 3)))
    print('main has joined 3 tasks')


if __name__ == '__main__':
    asyncio.run(main())
