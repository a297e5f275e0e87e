import asyncio
import os
import signal

reloaded = 0


def reload():
    global reloaded
    reloaded += 1
    print('SIGUSR1: reload, number', reloaded)
    os.kill(os.getpid(), signal.SIGUSR1 if reloaded < 3 else signal.SIGTERM)


def stop(stopped):
    print('SIGTERM: stop')
    stopped.set()


async def main():
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, reload)
    loop.add_signal_handler(signal.SIGTERM, stop, stopped)
    print('the loop listens for SIGUSR1 and SIGTERM')
    os.kill(os.getpid(), signal.SIGUSR1)
    await stopped.wait()
    print('the program ends normally')


if __name__ == '__main__':
    asyncio.run(main())
