import asyncio
import concurrent.futures
import time

SECOND = 0.1

heartbeats = 0


def synchronized_block(p):
    time.sleep(3 * SECOND)
    return '{} block 3 second'.format(p)


async def async_block(p):
    before = heartbeats
    done = synchronized_block(p)
    print('heartbeats meanwhile: {}'.format(heartbeats - before))
    return done


async def heartbeat():
    global heartbeats
    while True:
        await asyncio.sleep(SECOND / 10)
        heartbeats += 1


async def run(threads, processes, mistake):
    loop = asyncio.get_running_loop()
    begun, before = time.monotonic(), heartbeats
    print('started, mistake: {}'.format('true' if mistake else 'false'))
    awaitables = [
        loop.run_in_executor(None, synchronized_block, 'default thread pool'),
        loop.run_in_executor(threads, synchronized_block, 'custom thread pool'),
        loop.run_in_executor(processes, synchronized_block, 'custom process pool'),
    ]
    if mistake:
        awaitables.append(asyncio.create_task(async_block('current thread')))
    for future in asyncio.as_completed(awaitables):
        print(await future)
    print('finished after {:.6f} seconds'.format((time.monotonic() - begun) / SECOND))
    if not mistake:
        print('heartbeats meanwhile: {}'.format(heartbeats - before))


async def main(threads, processes):
    beating = asyncio.create_task(heartbeat())
    await run(threads, processes, True)
    await run(threads, processes, False)
    beating.cancel()


if __name__ == '__main__':
    with concurrent.futures.ThreadPoolExecutor() as threads:
        with concurrent.futures.ProcessPoolExecutor(1) as processes:
            processes.submit(int).result()
            asyncio.run(main(threads, processes))
