"""CPython's own server: the control, against which the same tests must pass, and the server of the client's tests.

    cpython_server.py --address 127.0.0.1:0|/PATH --authkey-file FILE

It prints where it listens, and serves until its standard input ends. Beside the types of a SyncManager it has a task
queue and a result queue, one for all clients.
"""

import argparse
import multiprocessing
import os
import queue
import sys
import threading
from multiprocessing.managers import SyncManager

tasks, results = queue.Queue(), queue.Queue()


class Manager(SyncManager):
    pass


Manager.register('get_task_queue', callable=lambda: tasks)
Manager.register('get_result_queue', callable=lambda: results)


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


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
    # For proxies inside of values, and for a Condition over a given Lock: it calls the lock through its own server.
    multiprocessing.current_process().authkey = key
    server = Manager(address, key).get_server()
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(server.address if isinstance(server.address, str) else '%s:%s' % server.address, flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
