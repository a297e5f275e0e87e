"""async_queue.py MAXSIZE COUNT: nanoseconds for a number through an asyncio.Queue, from one task to another."""

import asyncio
import sys
import time

BATCH = 1000


async def produce(queue, count):
    for begin in range(0, count, BATCH):
        for number in range(begin, min(begin + BATCH, count)):
            await queue.put(number)
        await asyncio.sleep(0)


async def consume(queue, count):
    total = 0
    for _ in range(count):
        total += await queue.get()
    return total


async def carry(maxsize, count):
    queue = asyncio.Queue(maxsize)
    producer = asyncio.create_task(produce(queue, count))
    total = await asyncio.create_task(consume(queue, count))
    await producer
    assert total == sum(range(count)), total


if __name__ == "__main__":
    maxsize, count = int(sys.argv[1]), int(sys.argv[2])
    loop = asyncio.new_event_loop()
    loop.run_until_complete(carry(maxsize, -(-count // 10)))
    begin = time.perf_counter_ns()
    loop.run_until_complete(carry(maxsize, count))
    elapsed = time.perf_counter_ns() - begin
    loop.close()
    print(elapsed / count)
