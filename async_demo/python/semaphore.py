import asyncio


async def main():
    sem = asyncio.Semaphore(3)
    three = asyncio.Barrier(3)
    await asyncio.gather(*[task(n, sem, three) for n in range(1, 10)])

    for _ in range(3):
        await sem.acquire()
    assert sem.locked()
    print('main has all three: locked')
    for _ in range(3):
        sem.release()

    sem.release()
    permits = 0
    while not sem.locked():
        await sem.acquire()
        permits += 1
    print('one release too many: now there are', permits)


async def task(n, sem, three):
    async with sem:
        print('task', n, 'enters')
        await three.wait()
        print('task', n, 'leaves')


if __name__ == '__main__':
    asyncio.run(main())
