import asyncio
import os
import selectors


def descriptors():
    for fd in os.listdir('/proc/self/fd'):
        try:
            if os.readlink('/proc/self/fd/' + fd) == 'anon_inode:[eventpoll]':
                return 'a descriptor of epoll'
        except FileNotFoundError:
            pass  # The descriptor that was open for the listing is closed now.
    return 'none'


def main():
    name = selectors.DefaultSelector.__name__
    print('here the loop sleeps in', name.removesuffix('Selector').lower())
    print('before there is a loop:', descriptors())
    loop = asyncio.new_event_loop()
    print('while there is a loop:', descriptors())
    loop.close()
    print('after the loop:', descriptors())


if __name__ == '__main__':
    main()
