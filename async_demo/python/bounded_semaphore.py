import asyncio

JOBS = 4


async def main():
    sem = asyncio.BoundedSemaphore(2)
    begun = asyncio.Queue()
    starter = asyncio.create_task(start_jobs(sem, begun))
    for _ in range(JOBS):
        print('job', await begun.get(), 'ends')
        sem.release()
    await starter

    free = 0
    while not sem.locked():
        await sem.acquire()
        free += 1
    print(free, 'are free')
    for _ in range(free):
        sem.release()
    try:
        sem.release()
    except ValueError as error:
        print(error)


async def start_jobs(sem, begun):
    for job in range(1, JOBS + 1):
        await sem.acquire()
        print('job', job, 'begins')
        begun.put_nowait(job)


if __name__ == '__main__':
    asyncio.run(main())
