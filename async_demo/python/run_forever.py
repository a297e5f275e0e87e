import asyncio


def state(loop):
    if loop.is_running():
        return 'running'
    return 'closed' if loop.is_closed() else 'neither running nor closed'


def stop(run):
    print('run %d: the loop is %s' % (run, state(loop)))
    loop.stop()


def close():
    try:
        loop.close()
    except RuntimeError as error:
        print('close:', error)
    loop.stop()


if __name__ == '__main__':
    loop = asyncio.new_event_loop()
    print('a new loop is', state(loop))
    for run in range(1, 3):
        loop.call_soon(stop, run)
        loop.call_soon(print, 'this was ready when the loop was stopped')
        loop.run_forever()
        print('a stopped loop is', state(loop))

    loop.call_soon(close)
    loop.run_forever()
    loop.close()
    loop.close()
    print('a loop that was closed twice is', state(loop))
    try:
        loop.call_soon(print, 'never called')
    except RuntimeError as error:
        print('call_soon:', error)
    try:
        loop.run_forever()
    except RuntimeError as error:
        print('run_forever:', error)
