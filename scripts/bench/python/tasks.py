"""tasks.py "LOOP CASE TASKS" COUNT: nanoseconds for a task, a sleep(0) or a callback of asyncio or uvloop.

gather: TASKS tasks are started and gathered, COUNT times. sleep: TASKS tasks sleep COUNT times in all.
call_soon: COUNT callbacks are called.
"""

import asyncio
import sys
import time

BATCH = 1000


async def number(n):
    return n


async def gather(count, size):
    for begin in range(0, count, size):
        numbers = range(min(size, count - begin))
        tasks = [asyncio.create_task(number(n)) for n in numbers]
        assert sum(await asyncio.gather(*tasks)) == sum(numbers)


async def sleeper(count):
    slept = 0
    for _ in range(count):
        await asyncio.sleep(0)
        slept += 1
    return slept


async def sleep(count, tasks):
    sleepers = [asyncio.create_task(sleeper(count)) for _ in range(tasks)]
    assert sum(await asyncio.gather(*sleepers)) == count * tasks


async def call_soon(count, _):
    soon = asyncio.get_running_loop().call_soon
    calls = 0

    def call():
        nonlocal calls
        calls += 1

    for begin in range(0, count, BATCH):
        for _ in range(min(BATCH, count - begin)):
            soon(call)
        await asyncio.sleep(0)
    assert calls == count, calls


if __name__ == "__main__":
    name, case, tasks = sys.argv[1].split()
    count, tasks = int(sys.argv[2]), int(tasks)
    run = {"gather": gather, "sleep": sleep, "call_soon": call_soon}[case]
    share = count * tasks if case == "gather" else -(-count // tasks)
    loop = __import__(name).new_event_loop()
    loop.run_until_complete(run(-(-share // 10), tasks))
    begin = time.perf_counter_ns()
    loop.run_until_complete(run(share, tasks))
    elapsed = time.perf_counter_ns() - begin
    loop.close()
    print(elapsed / (share if case == "gather" else share * tasks))
