"""CPython's own SyncManager server, the control: the same tests must pass against it.

    cpython_server.py --address 127.0.0.1:0|/PATH --authkey-file FILE

It prints where it listens, and serves until it is killed.
"""

import argparse
import multiprocessing
from multiprocessing.managers import SyncManager


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--address', required=True)
    parser.add_argument('--authkey-file', required=True)
    args = parser.parse_args()
    address = args.address
    if not address.startswith('/'):
        host, port = address.rsplit(':', 1)
        address = host, int(port)
    with open(args.authkey_file, 'rb') as file:
        key = file.read()
    # A Condition over a given Lock calls the lock through a connection to its own server.
    multiprocessing.current_process().authkey = key
    server = SyncManager(address, key).get_server()
    print(server.address if isinstance(server.address, str) else '%s:%s' % server.address, flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
