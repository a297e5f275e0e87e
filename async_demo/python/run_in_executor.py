import asyncio
import concurrent.futures
import time

SECOND = 0.1

heartbeats = 0


def synchronized_block(name):
    time.sleep(3 * SECOND)
    return name


async def async_block(name):
    before = heartbeats
    time.sleep(3 * SECOND)
    print('heartbeats meanwhile: {}'.format(heartbeats - before))
    return name


async def heartbeat():
    global heartbeats
    while True:
        await asyncio.sleep(SECOND / 10)
        heartbeats += 1


async def run(threads, processes, mistake):
    loop = asyncio.get_running_loop()
    begun, before = time.monotonic(), heartbeats
    awaitables = [
        loop.run_in_executor(None, synchronized_block, 'default thread pool'),
        loop.run_in_executor(threads, synchronized_block, 'custom thread pool'),
        loop.run_in_executor(processes, synchronized_block, 'custom process pool'),
    ]
    if mistake:
        awaitables.append(asyncio.create_task(async_block('current thread')))
    for future in asyncio.as_completed(awaitables):
        print('{} block 3 second'.format(await future))
    print('all took {:.6f}'.format(time.monotonic() - begun))
    if not mistake:
        print('heartbeats meanwhile: {}'.format(heartbeats - before))


async def main(threads, processes):
    beating = asyncio.create_task(heartbeat())
    print("the loop's thread blocked:")
    await run(threads, processes, True)
    print('the loop free:')
    await run(threads, processes, False)
    beating.cancel()


if __name__ == '__main__':
    with concurrent.futures.ThreadPoolExecutor() as threads:
        with concurrent.futures.ProcessPoolExecutor(1) as processes:
            processes.submit(int).result()
            asyncio.run(main(threads, processes))
