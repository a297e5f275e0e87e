"""CPython's own server, for the tests of the client: `python_server.py PATH` listens there, without a path on a free port.

It prints its address, and ends when its standard input does.
"""

import os
import queue
import sys
import threading
from multiprocessing import current_process
from multiprocessing.managers import SyncManager

KEY = b"secret"

tasks, results = queue.Queue(), queue.Queue()


class Manager(SyncManager):
    pass


Manager.register("get_task_queue", callable=lambda: tasks)
Manager.register("get_result_queue", callable=lambda: results)


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


def main():
    current_process().authkey = KEY  # For proxies inside of values.
    address = sys.argv[1] if len(sys.argv) > 1 else ("127.0.0.1", 0)
    server = Manager(address=address, authkey=KEY).get_server()
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(server.address if len(sys.argv) > 1 else "%s:%d" % server.address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
