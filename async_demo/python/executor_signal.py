import asyncio
import concurrent.futures
import os
import signal
import threading


class TaskExecutor:
    def __init__(self):
        self.stopped_by = None

    def start(self):
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._main(started)])
        self._thread.start()
        started.wait()

    async def _main(self, started):
        self._loop = asyncio.get_running_loop()
        self._stop_sign = asyncio.Event()
        started.set()
        await self._stop_sign.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if self._cancel:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, coro):
        return asyncio.run_coroutine_threadsafe(coro, self._loop)

    def stop(self, cancel):
        self._cancel = cancel
        self._loop.call_soon_threadsafe(self._stop_sign.set)

    def stop_on_signals(self, cancel):
        def handler(signum, frame):
            self.stopped_by = signum
            self.stop(cancel)
        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGTERM, handler)

    def join(self):
        self._thread.join()


async def clean_up(begun):
    try:
        print('an endless task in thread {}'.format(threading.get_native_id()))
        begun.set()
        await asyncio.Event().wait()
    finally:
        print('cleaned up in thread {}'.format(threading.get_native_id()))


if __name__ == '__main__':
    print('main is thread {}'.format(threading.get_native_id()))
    e = TaskExecutor()
    e.start()
    e.stop_on_signals(cancel=True)
    begun = threading.Event()
    endless = e.submit(clean_up(begun))
    begun.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    e.join()
    print('stopped by signal {}'.format(e.stopped_by))
    try:
        endless.result()
    except concurrent.futures.CancelledError:
        print('its waiter: the task was cancelled')
