"""A manager's client puts an object of a class that the server does not know; another client gets it."""
import subprocess
import sys
from multiprocessing import managers

SERVER = """
from multiprocessing.managers import SyncManager
server = SyncManager(("127.0.0.1", 0), b"key").get_server()
print(server.address[1], flush=True)
server.serve_forever()
"""


class Task:
    def __init__(self, number):
        self.number = number


if __name__ == "__main__":
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    manager = managers.SyncManager(("127.0.0.1", int(server.stdout.readline())), b"key")
    manager.connect()
    q = manager.Queue()
    try:
        for round in range(1, int(sys.argv[1]) + 1):
            q.put(Task(round))
            assert q.get().number == round
            print(f"round {round}: stored, and returned", flush=True)
        print("held: stored, and returned unchanged", flush=True)
    except managers.RemoteError as error:
        print(f"broken: the call fails: {str(error).strip().splitlines()[-2]}", flush=True)
        sys.exit(1)
    finally:
        server.kill()
        server.wait()
