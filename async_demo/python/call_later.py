import asyncio

SECOND = 0.1


def yes(is_so):
    return 'yes' if is_so else 'no'


def main():
    loop = asyncio.new_event_loop()
    begun = loop.time()

    def say(what):
        print('%s after %.6f seconds' % (what, (loop.time() - begun) / SECOND))

    def stop():
        say('stop')
        loop.stop()

    def cancel():
        say('call_later')
        long.cancel()
        print('cancelled long before its time:', yes(long.cancelled()))

    long = loop.call_later(500 * SECOND, print, 'never called')
    loop.call_later(4 * SECOND, stop)
    short = loop.call_later(3 * SECOND, print, 'never called')
    loop.call_at(begun + 2 * SECOND, say, 'call_at')
    loop.call_at(begun + 2 * SECOND, say, 'call_at, the same time')
    first = loop.call_later(SECOND, cancel)
    loop.call_soon(print, 'call_soon')
    short.cancel()
    print('cancelled before the loop runs:', yes(short.cancelled()))
    loop.run_forever()
    print('called, so not cancelled:', yes(not first.cancelled()))
    loop.close()


if __name__ == '__main__':
    main()
