import asyncio

SECOND = 0.1
PERMITS = 3
TASKS = 9


async def main():
    sem = asyncio.Semaphore(PERMITS)
    await asyncio.gather(*[task(n, sem) for n in range(1, TASKS + 1)])

    for _ in range(PERMITS):
        await sem.acquire()
    assert sem.locked()
    print('main has all {}: locked'.format(PERMITS))
    for _ in range(PERMITS):
        sem.release()

    sem.release()
    permits = 0
    while not sem.locked():
        await sem.acquire()
        permits += 1
    print('one release too many: now there are', permits)


async def task(n, sem):
    async with sem:
        print('task', n, 'enters')
        await asyncio.sleep(SECOND)
        print('task', n, 'leaves')


if __name__ == '__main__':
    asyncio.run(main())
