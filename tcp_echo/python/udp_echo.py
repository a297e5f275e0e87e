import asyncio

ANSWER = 2


class Server(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        print(f"Server receives '{data.decode()}' from {addr}")
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.answers.put_nowait(data.decode())

    def error_received(self, error):
        self.answers.put_nowait(error)


async def ask(transport, client, message):
    for _ in range(3):
        transport.sendto(message.encode())
        try:
            answer = await asyncio.wait_for(client.answers.get(), ANSWER)
        except TimeoutError:
            continue
        if isinstance(answer, Exception):
            raise answer
        return answer
    raise TimeoutError


async def main():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Server, local_addr=('127.0.0.1', 0))
    addr = server.get_extra_info('sockname')
    print(f'Serving on {addr}')
    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=addr)
    print(f'Client is {transport.get_extra_info("sockname")}')

    for message in ['one', 'two', 'three']:
        print(f"Client receives '{await ask(transport, client, message)}'")

    server.close()
    await asyncio.sleep(0)
    try:
        await ask(transport, client, 'four')
    except ConnectionRefusedError:
        print('Client learns that no socket listens')
    transport.close()


if __name__ == '__main__':
    asyncio.run(main())
