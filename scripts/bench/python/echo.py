"""echo.py LOOP CLIENTS: an echo server on the asyncio or uvloop loop. Its standard input is the listening socket.

It ends after CLIENTS clients have connected and disconnected.
"""

import asyncio
import socket
import sys


async def serve(clients):
    ended = asyncio.Semaphore(0)

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        ended.release()

    async with await asyncio.start_server(echo, sock=socket.socket(fileno=0)):
        for _ in range(clients):
            await ended.acquire()


if __name__ == "__main__":
    loop = __import__(sys.argv[1]).new_event_loop()
    loop.run_until_complete(serve(int(sys.argv[2])))
    loop.close()
