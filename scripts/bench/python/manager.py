"""manager.py serve ADDRESS: a server of a SyncManager that prints its address and serves until it is killed.

manager.py CASE COUNT ADDRESS: a client of a server, which prints the nanoseconds for an operation. `queue 4` is four
client processes. ADDRESS is HOST:PORT or the path of a Unix socket.
"""

import multiprocessing
import os
import queue
import sys
import time
from multiprocessing.managers import SyncManager

KEY = b"bench"


JOBS = queue.Queue()


class Manager(SyncManager):
    pass


Manager.register("get_queue", callable=lambda: JOBS)


def parse(address):
    host, colon, port = address.rpartition(":")
    return (host, int(port)) if colon else address


def serve(address):
    server = Manager(parse(address), KEY).get_server()
    text = "%s:%d" % server.address if isinstance(server.address, tuple) else server.address
    print(text, flush=True)
    server.serve_forever()


def connected(address):
    manager = Manager(address, KEY)
    manager.connect()
    return manager


def operation(case, address):
    """Returns the operation to time. It gets the numbers from 0 on, and must return the same number."""
    if case == "connect":
        def connect(number):
            connected(address)
            return number
        return connect
    manager = connected(address)
    if case == "list":
        def make(number):
            manager.list()
            return number
        return make
    if case == "dict":
        numbers = manager.dict()

        def use(number):
            numbers["key"] = number
            return numbers["key"]
        return use
    jobs = manager.get_queue()

    def pass_on(number):
        jobs.put(number)
        return jobs.get()
    return pass_on


def alone(case, count, address):
    operate = operation(case, address)
    warm_up = -(-count // 10)
    for number in range(warm_up):
        assert operate(number) == number
    begin = time.perf_counter_ns()
    for number in range(count):
        assert operate(number) == number
    return (time.perf_counter_ns() - begin) / count


def worker(share, address, ready, gate, report):
    operate = operation("queue", address)
    total = sum(operate(number) for number in range(-(-share // 10)))
    os.write(ready, b"r")
    os.read(gate, 1)
    total += sum(operate(number) for number in range(share))
    os.write(report, total.to_bytes(8, "little"))


def read(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        assert more, "the workers have failed"
        data += more
    return data


def together(clients, count, address):
    share = -(-count // clients)
    context = multiprocessing.get_context("fork")
    (ready, is_ready), (gate, opener), (reports, report) = os.pipe(), os.pipe(), os.pipe()
    arguments = (share, address, is_ready, gate, report)
    workers = [context.Process(target=worker, args=arguments) for _ in range(clients)]
    for process in workers:
        process.start()
    os.close(is_ready)
    os.close(report)
    read(ready, clients)
    begin = time.perf_counter_ns()
    os.write(opener, bytes(clients))
    numbers = [read(reports, 8) for _ in range(clients)]
    elapsed = time.perf_counter_ns() - begin
    for process in workers:
        process.join()
        assert process.exitcode == 0, process.exitcode
    total = sum(int.from_bytes(number, "little") for number in numbers)
    expected = clients * sum(sum(range(part)) for part in (-(-share // 10), share))
    assert total == expected, (total, expected)
    return elapsed / (share * clients)


if __name__ == "__main__":
    case, *arguments = sys.argv[1:]
    if case == "serve":
        serve(*arguments)
    else:
        count, address = int(arguments[0]), parse(arguments[1])
        if case == "queue 4":
            print(together(4, count, address))
        else:
            print(alone(case, count, address))
