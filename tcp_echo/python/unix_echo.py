import asyncio
import os
import socket
import struct


async def handle(reader, writer):
    sock = writer.get_extra_info('socket')
    peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize('3i'))
    pid, uid, gid = struct.unpack('3i', peer)
    print('Server accepts process {}'.format(pid))
    while line := await reader.readline():
        print('Server receives {}'.format(line.decode().strip()))
        writer.write(line)
        await writer.drain()
    print('Server reads the end')
    writer.close()


async def client(name):
    reader, writer = await asyncio.open_unix_connection(name)
    print('Client process {} is connected'.format(os.getpid()))
    for number in range(2):
        writer.write('line {}\n'.format(number).encode())
        print('Client receives {}'.format((await reader.readline()).decode().strip()))
    writer.write_eof()
    print('Client receives {} bytes more'.format(len(await reader.read())))
    writer.close()


async def main():
    name = '\0unix_echo.{}'.format(os.getpid())
    server = await asyncio.start_unix_server(handle, name)
    print('Serving on {}'.format(name.replace('\0', '\\u{0}')))
    async with server:
        await client(name)
    try:
        await asyncio.open_unix_connection(name)
    except ConnectionRefusedError:
        print('the name is gone with the server')


if __name__ == '__main__':
    asyncio.run(main())
