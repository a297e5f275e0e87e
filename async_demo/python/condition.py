import asyncio
import time

SECOND = 0.1
TASKS = 3


class Office:
    waiting = 0
    tickets = 0
    changed = asyncio.Condition()


async def main():
    begun = time.monotonic()
    async with Office.changed:
        try:
            await asyncio.wait_for(Office.changed.wait(), SECOND)
        except asyncio.TimeoutError:
            print('no notification in {:.6f} seconds'.format((time.monotonic() - begun) / SECOND))

    tasks = {asyncio.create_task(take(n)) for n in range(1, TASKS + 1)}
    async with Office.changed:
        await Office.changed.wait_for(lambda: Office.waiting == TASKS)
        give(1)
    done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print('task', done.pop().result(), 'was first')
    async with Office.changed:
        give(TASKS - 1)
    await asyncio.wait(tasks)
    print(Office.tickets, 'tickets are left')


def give(n):
    Office.tickets += n
    print('main gives', n)
    if n == 1:
        Office.changed.notify(1)
    else:
        Office.changed.notify_all()


async def take(n):
    async with Office.changed:
        Office.waiting += 1
        print('task', n, 'waits')
        Office.changed.notify_all()
        await Office.changed.wait_for(lambda: Office.tickets > 0)
        Office.tickets -= 1
        print('task', n, 'has a ticket')
        return n


if __name__ == '__main__':
    asyncio.run(main())
