import asyncio
import concurrent.futures
import threading

SECOND = 0.1


class TaskExecutor:
    def __init__(self):
        self._loop = None
        self._stopped = False

    def start(self):
        if self._stopped:
            raise RuntimeError('the executor is stopped')
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

    def submit(self, coro, cb=None):
        if self._loop is None or self._stopped:
            coro.close()
            raise RuntimeError('the executor is {}'.format(
                'stopped' if self._stopped else 'not started'))
        future = asyncio.run_coroutine_threadsafe(coro, self._loop)
        if cb:
            future.add_done_callback(cb)
        return future

    def stop(self, cancel):
        self._stopped = True
        self._cancel = cancel
        self._loop.call_soon_threadsafe(self._stop_sign.set)

    def join(self):
        self._thread.join()


async def p():
    print('p runs in thread {}'.format(threading.get_native_id()))
    return 42


def b(future):
    print('b runs in thread {} with {}'.format(threading.get_native_id(), future.result()))


async def fail():
    raise RuntimeError('p has failed')


async def finish(number):
    await asyncio.sleep(SECOND * number)
    print('finished {}'.format(number))


def refused(call, *args):
    try:
        call(*args)
    except RuntimeError as error:
        return error
    raise SystemExit('the call was not refused')


def work_and_drain():
    e = TaskExecutor()
    print('too early: {}'.format(refused(e.submit, p())))
    e.start()
    print('main got {}'.format(e.submit(p(), b).result()))

    endless = e.submit(asyncio.sleep(3600))
    try:
        endless.result(timeout=SECOND)
    except concurrent.futures.TimeoutError:
        print('limit: the task was not done in time')
    endless.cancel()
    try:
        endless.result()
    except concurrent.futures.CancelledError:
        print('cancelled: the task was cancelled')
    print('failed: the task panicked: {}'.format(refused(e.submit(fail()).result)))

    for number in range(1, 4):
        e.submit(finish(number))
    e.stop(cancel=False)
    print('too late: {}'.format(refused(e.submit, p())))
    e.join()
    print('drained')
    print('again: {}'.format(refused(e.start)))


if __name__ == '__main__':
    print('main is thread {}'.format(threading.get_native_id()))
    work_and_drain()
