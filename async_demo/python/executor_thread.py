import asyncio
import functools
import threading


class AsyncTaskExecutor(threading.Thread):
    def __init__(self):
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._stopped = False

    def run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def stop(self):
        self._stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def submit(self, coro):
        if self._stopped:
            coro.close()
            raise RuntimeError('the executor is stopped')
        return asyncio.run_coroutine_threadsafe(coro, self._loop)

    def wait(self, coro):
        if threading.current_thread() is self:
            coro.close()
            raise RuntimeError("the executor's thread cannot wait for its own task")
        return self.submit(coro).result()


@functools.cache
def executor():
    e = AsyncTaskExecutor()
    e.start()
    return e


def run_coro(coro):
    return asyncio.wrap_future(executor().submit(coro))


async def thread_id():
    return threading.get_native_id()


def ask():
    return threading.get_native_id(), executor().wait(thread_id())


async def ask_main(question, loop):
    async def answer():
        return await question
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(), loop))


async def print_refusal(coro):
    try:
        await run_coro(coro)
    except RuntimeError as error:
        print('refused: {}'.format(error))


async def wait_for_itself():
    return executor().wait(thread_id())


async def main():
    ran = await run_coro(thread_id())
    print('main thread {} asked, thread {} ran it'.format(threading.get_native_id(), ran))
    print('another thread {} asked, thread {} ran it'.format(*await asyncio.to_thread(ask)))

    loop = asyncio.get_running_loop()
    question = loop.create_future()
    loop.call_soon(question.set_result, 'the main loop went on while it waited')
    print(await run_coro(ask_main(question, loop)))

    await print_refusal(wait_for_itself())
    executor().stop()
    await asyncio.to_thread(executor().join)
    await print_refusal(thread_id())


if __name__ == '__main__':
    asyncio.run(main())
