from multiprocessing.managers import Server, SyncManager
import argparse
import os
import signal
import sys


class CountingServer(Server):
    connections = 0

    def handle_request(self, conn):
        self.connections += 1
        super().handle_request(conn)


def stop(number, frame):
    print(f'{signal.Signals(number).name}: stopping')
    raise SystemExit


def serve(address, authkey):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server = CountingServer(SyncManager._registry, address, authkey, 'pickle')
    print(f'Serving on {show(server.address)}')
    try:
        server.serve_forever()
    except SystemExit:
        print(f'connections served: {server.connections}, objects left: {server.number_of_objects(None)}')


def session(address, authkey):
    manager = SyncManager(address, authkey)
    manager.connect()
    print(f'Client is connected to {show(address)}')
    dict = manager.dict({'你好': 1})
    dict[2] = None
    print(f'dict: {dict}')
    queue = manager.Queue(1)
    queue.put(['hello'])
    print(f'Queue: {queue.get()}, full: {queue.full()}')
    lock = manager.Lock()
    with lock:
        print(f'Lock: {lock.acquire(False)}')
    print(f'Client holds {manager._number_of_objects()} objects')
    del dict, queue, lock
    print(f'Client leaves {manager._number_of_objects()} objects')


def address(text):
    if '/' in text:
        return text
    host, _, port = text.rpartition(':')
    return host, int(port)


def show(address):
    return address if isinstance(address, str) else '%s:%d' % address


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--connect', type=address)
    parser.add_argument('--address', type=address, default=('127.0.0.1', 9697))
    parser.add_argument('--authkey-file', required=True)
    args = parser.parse_args()
    with open(args.authkey_file, 'rb') as file:
        if os.fstat(file.fileno()).st_mode & 0o044:
            print(f'serve: others may read the key file {args.authkey_file}', file=sys.stderr)
        authkey = file.read().removesuffix(b'\n')
    if args.connect:
        session(args.connect, authkey)
    else:
        serve(args.address, authkey)
