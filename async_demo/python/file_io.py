import asyncio
import os
import tempfile


async def write_and_read():
    with await asyncio.to_thread(tempfile.TemporaryFile, 'w+', encoding='utf-8') as file:
        await asyncio.to_thread(file.write, '第一行\n第二行\n')
        await asyncio.to_thread(file.flush)
        print('wrote {} bytes'.format(os.fstat(file.fileno()).st_size))
        await asyncio.to_thread(file.seek, 0)
        while line := await asyncio.to_thread(file.readline):
            print('read {}'.format(line.rstrip('\n')))


async def slow_read():
    reader, writer = os.pipe()

    async def read():
        print('a read begins')
        with open(reader, encoding='utf-8') as file:
            return await asyncio.to_thread(file.read)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    print('the loop goes on')
    os.write(writer, '迟到的文字'.encode())
    os.close(writer)
    print('read {}'.format(await reading))


async def main():
    await write_and_read()
    await slow_read()
    try:
        await asyncio.to_thread(open, '/nowhere/at/all')
    except FileNotFoundError:
        print('no such file')


if __name__ == '__main__':
    asyncio.run(main())
