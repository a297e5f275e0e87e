import asyncio
import threading
import time

SECOND = 0.1


def callback(number, owner):
    here = "loop's" if threading.get_ident() == owner else 'other'
    print('callback %d runs in the %s thread' % (number, here))


def submit(loop, owner):
    for number in range(1, 4):
        time.sleep(SECOND)
        loop.call_soon_threadsafe(callback, number, owner)
    loop.call_soon_threadsafe(loop.stop)


def main():
    loop = asyncio.new_event_loop()
    other = threading.Thread(target=submit, args=(loop, threading.get_ident()))
    print('the loop runs, and has nothing to do')
    other.start()
    loop.run_forever()
    print('the loop was stopped')
    other.join()
    loop.close()
    try:
        loop.call_soon_threadsafe(loop.stop)
    except RuntimeError as error:
        print(error)


if __name__ == '__main__':
    main()
