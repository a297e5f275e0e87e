import asyncio
import inspect


def function():
    return 20


async def coroutine():
    return 21


class Later:
    def __await__(self):
        yield from ()
        return 1


def show(name, value):
    future = asyncio.iscoroutine(value) or asyncio.isfuture(value)
    answers = inspect.iscoroutinefunction(value), future, inspect.isawaitable(value)
    yes_or_no = ['yes' if answer else 'no' for answer in answers]
    print('%s: coroutine function %s, future %s, awaitable %s' % (name, *yes_or_no))


async def main():
    show('function', function)
    show('coroutine function', coroutine)
    unused = coroutine()
    show('coroutine', unused)
    unused.close()
    task = asyncio.create_task(coroutine())
    show('task', task)
    await task
    show('object', Later())
    print(await coroutine() + await Later() + function())


if __name__ == '__main__':
    asyncio.run(main())
