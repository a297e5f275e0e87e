import asyncio


def fail(why):
    raise RuntimeError(why)


def handler(loop, context):
    why = str(context['exception'])
    print('reported:', why)
    if why.endswith('stop'):
        loop.stop()


def main():
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(handler)
    loop.call_soon(fail, 'the first callback fails')
    loop.call_soon(print, 'the second callback runs')
    loop.call_soon(fail, 'the third callback fails: stop')
    loop.call_soon(print, 'the fourth was ready when the loop was stopped')
    loop.run_forever()
    print('the loop was stopped')
    loop.close()


if __name__ == '__main__':
    main()
