from contextvars import ContextVar, copy_context

var = ContextVar('var')


def main():
    print(var.get(), ctx[var])
    var.set('ham')
    print(var.get(), ctx[var])


if __name__ == '__main__':
    var.set('spam')

    ctx = copy_context()
    ctx.run(main)

    print(ctx[var])
    print(var.get())
