def count(limit):
    for n in range(1, limit + 1):
        yield n


def total():
    total = 0
    try:
        while total < 10:
            try:
                total += yield total
            except ValueError as error:
                print('the coroutine catches: {}'.format(error))
        return total
    finally:
        print('the coroutine cleans up')


if __name__ == '__main__':
    g = count(2)
    for _ in range(4):
        try:
            print('next: {}'.format(next(g)))
        except StopIteration:
            print('next: exhausted')

    c = total()
    print('start: total {}'.format(c.send(None)))
    print('send 3: total {}'.format(c.send(3)))
    print('throw: total {}'.format(c.throw(ValueError('not a number'))))
    print('send 4: total {}'.format(c.send(4)))
    c.close()
    print('closed')
    try:
        c.send(5)
    except StopIteration:
        print('send 5: the coroutine has finished')

    c = total()
    print('start: total {}'.format(c.send(None)))
    try:
        c.send(12)
    except StopIteration as stop:
        print('send 12: returned {}'.format(stop.value))
