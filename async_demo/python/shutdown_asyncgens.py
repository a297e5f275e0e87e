import asyncio


async def numbers(name):
    number = 0
    try:
        while True:
            yield number
            number += 1
    finally:
        print(name, 'cleans up')


async def print_two(name, generator):
    for _ in range(2):
        print(name, 'yields', await anext(generator))


async def use_generators():
    a = numbers('a')
    await print_two('a', a)
    await a.aclose()
    print('a is closed')
    b = numbers('b')
    await print_two('b', b)
    return b


def main():
    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(use_generators())
    print('main leaves', 'b' if left else 'nothing')
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    print('the loop is closed')


if __name__ == '__main__':
    main()
