import asyncio
import random
import time

SECOND = 0.1
WORKERS = 3
ITEMS = 20


async def worker_coro(name, queue):
    while True:
        sleep_for = await queue.get()
        await asyncio.sleep(sleep_for * SECOND)
        queue.task_done()
        print(f'{name} has slept for {sleep_for:.2f} seconds')


async def main():
    queue = asyncio.Queue()
    workers = [asyncio.create_task(worker_coro(f'worker-{i}', queue)) for i in range(WORKERS)]
    total_sleep_time = 0
    for _ in range(ITEMS):
        sleep_for = random.uniform(0.05, 1.0)
        total_sleep_time += sleep_for
        queue.put_nowait(sleep_for)

    started_at = time.monotonic()
    await queue.join()
    total_slept_for = (time.monotonic() - started_at) / SECOND

    for worker in workers:
        worker.cancel()
    ended = await asyncio.gather(*workers, return_exceptions=True)
    cancelled = sum(isinstance(end, asyncio.CancelledError) for end in ended)

    print('====')
    print(f'{cancelled} workers were cancelled')
    print(f'{WORKERS} workers slept in parallel for {total_slept_for:.2f} seconds')
    print(f'total expected sleep time: {total_sleep_time:.2f} seconds')


if __name__ == '__main__':
    asyncio.run(main())
