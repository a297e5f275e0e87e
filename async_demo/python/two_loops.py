import asyncio
import threading

SECOND = 0.1
ROUNDS = 3


class WorkThread(threading.Thread):
    def __init__(self, work_loop):
        self.__work_loop = work_loop
        super().__init__()

    def run(self):
        asyncio.set_event_loop(self.__work_loop)
        self.__work_loop.run_forever()
        self.__work_loop.close()

    def stop(self):
        self.__work_loop.call_soon_threadsafe(self.__work_loop.stop)


async def request(main_loop, work_loop, rounds, done):
    print('request! {} in thread {}'.format(rounds, threading.get_native_id()))
    await asyncio.sleep(SECOND)
    asyncio.run_coroutine_threadsafe(response(main_loop, work_loop, rounds, done), main_loop)


async def response(main_loop, work_loop, rounds, done):
    print('response! {} in thread {}'.format(rounds, threading.get_native_id()))
    await asyncio.sleep(SECOND)
    if rounds > 1:
        asyncio.run_coroutine_threadsafe(request(main_loop, work_loop, rounds - 1, done), work_loop)
    else:
        done.set()


async def main():
    work_loop = asyncio.new_event_loop()
    work_thread = WorkThread(work_loop)
    work_thread.start()

    main_loop = asyncio.get_running_loop()
    done = asyncio.Event()
    asyncio.run_coroutine_threadsafe(request(main_loop, work_loop, ROUNDS, done), work_loop)
    await done.wait()
    work_thread.stop()
    await asyncio.to_thread(work_thread.join)
    print('both loops have ended')


if __name__ == '__main__':
    asyncio.run(main())
