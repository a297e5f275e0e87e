from asyncio import FIRST_EXCEPTION
from itertools import count
import asyncio

SECOND = 0.1


async def write(writer, side, counts):
    for n in counts:
        writer.write(f'{side} count {n}.'.encode())
        await asyncio.sleep(SECOND)
    writer.write_eof()


async def read(reader, name):
    data, messages = b'', 0
    while True:
        received = await reader.read(20)
        if not received:
            raise EOFError(f'the peer has left after {messages} messages')
        *complete, data = (data + received).split(b'.')
        for message in complete:
            print(f'{name}: {message.decode() + "."!r}')
            messages += 1


async def talk(reader, writer, name, side, counts):
    write_task = asyncio.create_task(write(writer, side, counts))
    read_task = asyncio.create_task(read(reader, name))
    await asyncio.wait([write_task, read_task], return_when=FIRST_EXCEPTION)
    write_task.cancel()
    print(f'{name}: {read_task.exception()}')
    writer.close()


async def tcp_agent(reader, writer):
    addr = writer.get_extra_info('peername')
    print(f'Accept peer {addr}')
    await talk(reader, writer, f'Server receive from {addr}', 'server', count())


async def tcp_client(addr):
    reader, writer = await asyncio.open_connection(*addr)
    own = writer.get_extra_info('sockname')
    await talk(reader, writer, f'Client {own} receive', 'client', range(3))


async def main():
    server = await asyncio.start_server(tcp_agent, '127.0.0.1', 0)
    addr = server.sockets[0].getsockname()
    print(f'Serving on {addr}')
    async with server:
        await asyncio.gather(tcp_client(addr), tcp_client(addr))


if __name__ == '__main__':
    asyncio.run(main())
