from contextlib import suppress
import argparse
import asyncio
import signal


class Server:
    def __init__(self, args):
        self.args = args
        self.tasks = {}
        self.stopping = False
        self.served = self.refused = self.broken = self.cut_off = 0

    async def handle(self, reader, writer):
        if len(self.tasks) == self.args.connections:
            self.refused += 1
            writer.write(f'error: {self.args.connections} clients are connected, try again later\n'.encode())
            writer.close()
            return
        self.served += 1
        task = asyncio.current_task()
        self.tasks[task] = reader
        try:
            await self.converse(reader, writer)
        except OSError:
            self.broken += 1
        finally:
            del self.tasks[task]
            writer.close()

    async def converse(self, reader, writer):
        try:
            while not self.stopping:
                async with asyncio.timeout(self.args.idle):
                    line = await reader.readline()
                if not line.strip():
                    break
                writer.write(line)
                async with asyncio.timeout(self.args.idle):
                    await writer.drain()
        except TimeoutError:
            writer.write(f'error: no line within {self.args.idle} s\n'.encode())
        except ValueError:
            writer.write(f'error: a line has at most {self.args.line} bytes\n'.encode())
        else:
            writer.write(f'Good bye, client @ {writer.get_extra_info("peername")}\n'.encode())

    async def run(self, addr):
        stop = asyncio.get_running_loop().create_future()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set_result, name)
        server = await asyncio.start_server(self.handle, *addr, limit=self.args.line)
        print(f'Serving on {server.sockets[0].getsockname()}')
        name = await stop
        print(f'{name.name}: draining for at most {self.args.drain} s')
        server.close()
        self.stopping = True
        # Ends the input of clients that have not begun a line. Only the StreamReader's private buffer shows this.
        for reader in self.tasks.values():
            if not reader._buffer:
                reader.feed_eof()
        if self.tasks:
            _, late = await asyncio.wait(list(self.tasks), timeout=self.args.drain)
            self.cut_off = len(late)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        print(f'clients served: {self.served}, refused: {self.refused}, broken: {self.broken}, cut off: {self.cut_off}')


async def session(addr):
    reader, writer = await asyncio.open_connection(*addr)
    print(f'Client is {writer.get_extra_info("sockname")}')
    for line in ['hello\r\n', '你好\r\n', '\r\n']:
        writer.write(line.encode())
        print(f'Client receives {(await reader.readline()).decode().rstrip()}')
    writer.close()


def address(text):
    host, _, port = text.rpartition(':')
    return host, int(port)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--connect', type=address)
    parser.add_argument('--addr', type=address, default=('127.0.0.1', 8081))
    parser.add_argument('--connections', type=int, default=256)
    parser.add_argument('--line', type=int, default=65536)
    parser.add_argument('--idle', type=float, default=60)
    parser.add_argument('--drain', type=float, default=5)
    args = parser.parse_args()
    asyncio.run(session(args.connect) if args.connect else Server(args).run(args.addr))
