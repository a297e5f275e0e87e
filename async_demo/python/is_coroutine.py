import asyncio
import inspect


def function():
    return 21


async def coroutine():
    return 21


def show(name, value):
    coroutine_function = inspect.iscoroutinefunction(value)
    future = asyncio.iscoroutine(value) or asyncio.isfuture(value)
    yes_or_no = ['yes' if answer else 'no' for answer in (coroutine_function, future)]
    print('%s: coroutine function %s, future %s' % (name, *yes_or_no))


async def main():
    show('function', function)
    show('coroutine function', coroutine)
    unused = coroutine()
    show('coroutine', unused)
    unused.close()
    task = asyncio.create_task(coroutine())
    show('task', task)
    print(function() + await task)


if __name__ == '__main__':
    asyncio.run(main())
