import asyncio
import tempfile

SECOND = 0.1
OFFSET = 1000
COUNT = 16 << 20


async def send(file, writer):
    loop = asyncio.get_running_loop()
    sent = await loop.sendfile(writer.transport, file, OFFSET, COUNT)
    print('sent %d bytes from %d on, in several calls' % (sent, OFFSET))
    writer.close()


async def receive(port, content):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    await asyncio.sleep(SECOND)
    got = await reader.read()
    same = got == content[OFFSET:]
    print('received %d bytes, %s' % (len(got), 'as they are in the file' if same else 'damaged'))
    writer.close()


async def main():
    content = bytes(i % 251 for i in range(OFFSET + COUNT))
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        server = await asyncio.start_server(
            lambda reader, writer: send(file, writer), '127.0.0.1', 0)
        async with server:
            await receive(server.sockets[0].getsockname()[1], content)


if __name__ == '__main__':
    asyncio.run(main())
