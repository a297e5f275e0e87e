import asyncio
import logging
import time

SECOND = 0.1


def quick(loop):
    print('quick runs')


def slow(loop):
    print('slow runs')
    time.sleep(5 * SECOND)


def last(loop):
    print('last runs')
    loop.stop()


class Report(logging.Handler):
    def emit(self, record):
        handle, took = record.args  # '<Handle slow(...) at debug_mode.py:14 created at ...>'
        name = handle.split()[1].split('(')[0]
        print('executing %s took %.3f seconds' % (name, took / SECOND))


def main():
    log = logging.getLogger('asyncio')
    log.addHandler(Report())
    log.propagate = False
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 4 * SECOND
    for level in [logging.WARNING, logging.ERROR]:
        log.setLevel(level)
        for callback in [quick, slow, last]:
            loop.call_soon(callback, loop)
        loop.run_forever()
    print('the second time nothing was reported')
    loop.close()


if __name__ == '__main__':
    main()
