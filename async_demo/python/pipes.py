import asyncio
import os

LINES = 3
MANY = 1 << 20


async def write(fd):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(fd, 'wb'))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    for number in range(1, LINES + 1):
        writer.write(b'line %d\n' % number)
    writer.write(b'x' * MANY)
    await writer.drain()
    writer.close()


async def read(fd):
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, 'rb'))
    for _ in range(LINES):
        line = await reader.readline()
        print('got', line.decode().rstrip())
    rest = await reader.read()
    all_x = rest == b'x' * len(rest)
    print('got %d bytes, then the end: %s' % (len(rest), 'all are x' if all_x else 'damaged'))
    transport.close()


async def main():
    reader, writer = os.pipe()
    await asyncio.gather(write(writer), read(reader))
    print('both ends are closed')


if __name__ == '__main__':
    asyncio.run(main())
