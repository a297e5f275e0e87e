from contextvars import ContextVar
import asyncio

client_addr_var = ContextVar('client_addr')


def render_goodbye():
    client_addr = client_addr_var.get()
    return f'Good bye, client @ {client_addr}\n'.encode()


async def handle_request(reader, writer):
    addr = writer.get_extra_info('peername')
    client_addr_var.set(addr)

    while True:
        line = await reader.readline()
        print(line)
        if not line.strip():
            break
        writer.write(line)

    writer.write(render_goodbye())
    writer.close()


async def connect(number, addr):
    reader, writer = await asyncio.open_connection(*addr)
    print(f'client {number} is {writer.get_extra_info("sockname")}')
    return reader, writer


async def farewell(number, reader, writer):
    answer = await reader.read()
    print(f'client {number} receives {answer.decode().rstrip()}')
    writer.close()


async def talk(number, addr, both):
    reader, writer = await connect(number, addr)
    writer.write(f'hello from {number}\n'.encode())
    answer = await reader.readline()
    print(f'client {number} receives {answer.decode().rstrip()}')
    await both.wait()
    writer.write(b'\n')
    await farewell(number, reader, writer)


async def leave(number, addr):
    reader, writer = await connect(number, addr)
    writer.write_eof()
    await farewell(number, reader, writer)


async def main():
    srv = await asyncio.start_server(handle_request, '127.0.0.1', 0)
    addr = srv.sockets[0].getsockname()
    print(f'Serving on {addr}')

    async with srv:
        both = asyncio.Barrier(2)
        await asyncio.gather(talk(1, addr, both), talk(2, addr, both), leave(3, addr))


if __name__ == '__main__':
    asyncio.run(main())
