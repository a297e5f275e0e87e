from contextvars import ContextVar
import asyncio

client_addr_var = ContextVar('client_addr')
TALKERS = 2


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


async def clients(addr):
    clients = []
    for number in range(1, TALKERS + 2):
        reader, writer = await asyncio.open_connection(*addr)
        print(f'client {number} is {writer.get_extra_info("sockname")}')
        clients.append((number, reader, writer))
    for number, reader, writer in clients[:TALKERS]:
        writer.write(f'hello from {number}\n'.encode())
        answer = await reader.readline()
        print(f'client {number} receives {answer.decode().rstrip()}')
    for number, reader, writer in clients:
        if number <= TALKERS:
            writer.write(b'\n')
        else:
            writer.write_eof()
        answer = await reader.read()
        print(f'client {number} receives {answer.decode().rstrip()}')
        writer.close()


async def main():
    srv = await asyncio.start_server(handle_request, '127.0.0.1', 0)
    addr = srv.sockets[0].getsockname()
    print(f'Serving on {addr}')

    async with srv:
        await clients(addr)


if __name__ == '__main__':
    asyncio.run(main())
