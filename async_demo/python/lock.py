import asyncio

SECOND = 0.1

counter = 0


async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    try:
        tasks = [asyncio.create_task(count(n, lock)) for n in range(1, 4)]
        assert lock.locked()
        try:
            await asyncio.wait_for(lock.acquire(), SECOND)
        except asyncio.TimeoutError:
            print('main waited too long and releases the lock')
    finally:
        lock.release()
    await asyncio.gather(*tasks)
    print('counted to', counter)
    await cancel()


async def count(n, lock):
    global counter
    async with lock:
        print('task', n, 'enters')
        for _ in range(100):
            seen = counter
            await asyncio.sleep(0)
            counter = seen + 1
        print('task', n, 'leaves')


async def cancel():
    accounts = [100, 0]
    lock = asyncio.Lock()
    half_done = asyncio.Event()
    task = asyncio.create_task(transfer(accounts, lock, half_done))
    await half_done.wait()
    task.cancel()
    ended, = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    async with lock:
        print('main has the lock and finds', accounts)


async def transfer(accounts, lock, half_done):
    async with lock:
        accounts[0] -= 30
        print('half of the transfer is done')
        half_done.set()
        await asyncio.sleep(100 * SECOND)
        accounts[1] += 30


if __name__ == '__main__':
    asyncio.run(main())
