import asyncio
import socket

MANY = 1 << 20


async def serve(loop, listener):
    sock, _ = await loop.sock_accept(listener)
    print('server: a client is here')
    got = 0
    while data := await loop.sock_recv(sock, 1 << 16):
        got += len(data)
    print('server: got %d bytes, and the end' % got)
    await loop.sock_sendall(sock, b'you have sent %d bytes' % got)
    sock.close()
    listener.close()


async def ask(loop, address):
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, address)
    print('client: connected')
    await loop.sock_sendall(sock, b'x' * MANY)
    sock.shutdown(socket.SHUT_WR)
    answer = b''
    while data := await loop.sock_recv(sock, 100):
        answer += data
    print('client:', answer.decode())
    sock.close()


async def main():
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.setblocking(False)
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)
    print('the server listens')
    await asyncio.gather(serve(loop, listener), ask(loop, listener.getsockname()))
    print('all sockets are closed')


if __name__ == '__main__':
    asyncio.run(main())
