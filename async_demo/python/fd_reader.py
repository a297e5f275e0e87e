import asyncio
import os


MESSAGES = 3


async def main():
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    messages = 1

    def write():
        os.write(writer, b'message %d' % messages)

    def readable():
        nonlocal messages
        text = os.read(reader, 100)
        if not text:
            print('readable: the end')
            loop.remove_reader(reader)
            over.set_result(None)
            return
        print('readable:', text.decode())
        messages += 1
        if messages <= MESSAGES:
            write()
        else:
            os.close(writer)

    loop.add_reader(reader, readable)
    print('the loop watches an empty pipe')
    write()
    await over
    os.close(reader)
    print('the loop watches nothing')


if __name__ == '__main__':
    asyncio.run(main())
