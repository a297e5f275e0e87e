import asyncio


def goodbye(client):
    return 'Good bye, client @ {}'.format(client)


async def serve(client, all_begun):
    print('task {} begins'.format(client))
    await all_begun.wait()
    print(goodbye(client))


async def main():
    all_begun = asyncio.Barrier(3)
    await asyncio.gather(*(serve(n, all_begun) for n in (1, 2, 3)))
    print('main has joined 3 tasks')


if __name__ == '__main__':
    asyncio.run(main())
