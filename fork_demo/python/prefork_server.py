from multiprocessing import get_context
import os
import socket

SERVERS = 3
fork = get_context('fork')


def serve(listener):
    while True:
        client, _ = listener.accept()
        with client, client.makefile('r') as lines:
            answer = '{} from {}'.format(lines.readline().rstrip().upper(), os.getpid())
            client.sendall(answer.encode())


def ask(address, text):
    with socket.create_connection(address) as server, server.makefile('r') as answer:
        server.sendall(text.encode() + b'\n')
        return answer.read()


if __name__ == '__main__':
    listener = socket.create_server(('127.0.0.1', 0))
    servers = [fork.Process(target=serve, args=(listener,)) for _ in range(SERVERS)]
    for s in servers:
        s.start()
        print('main process {} started {}'.format(os.getpid(), s.pid))
    for text in ('spam', 'ham', 'eggs', 'spam and eggs'):
        print('main process {} got {}'.format(os.getpid(), ask(listener.getsockname(), text)))
    for s in servers:
        s.kill()
        s.join()
        print('main process joined {}, signal {}'.format(s.pid, -s.exitcode))
