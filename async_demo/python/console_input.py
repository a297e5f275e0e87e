import asyncio
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

SECOND = 0.1


def main():
    keyboard, terminal = pty.openpty()
    console = subprocess.Popen(
        [sys.executable, '-P', __file__, 'console'], stdin=terminal, start_new_session=True)
    os.close(terminal)
    for name, keys in [
            ('a line', '你好\n'),
            ('half a line and Ctrl-C', 'half\x03'),
            ('another', '再见\n'),
            ('Ctrl-D', '\x04')]:
        wait_for_ticks(keyboard)
        print('main {} types {}'.format(os.getpid(), name))
        os.write(keyboard, keys.encode())
    sys.exit(console.wait())


def wait_for_ticks(keyboard):
    shown = b''
    while not shown.endswith(b'...'):
        shown += os.read(keyboard, 1)


async def at_the_console():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    events = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, events.put_nowait, None)
    loop.add_reader(0, lambda: events.put_nowait(os.read(0, 4096)))
    console, ticks = 'console {}'.format(os.getpid()), 0
    while True:
        try:
            event = await asyncio.wait_for(events.get(), SECOND / 10)
        except TimeoutError:
            ticks += 1
            if ticks <= 3:
                os.write(0, b'.')
            continue
        if event is None:
            print('{} interrupted after {} ticks'.format(console, ticks))
        elif event:
            print('{} reads {} after {} ticks'.format(console, event.decode().strip(), ticks))
        else:
            print('{} is at the end after {} ticks'.format(console, ticks))
            return
        ticks = 0


if __name__ == '__main__':
    if sys.argv[1:] == ['console']:
        asyncio.run(at_the_console())
    else:
        main()
