from contextvars import ContextVar, copy_context

var = ContextVar('var')
other = ContextVar('other', default='eggs')


# CPython's own messages contain addresses, so this prints the Rust program's text.
def refused(error, message, f, *args):
    try:
        f(*args)
    except error:
        print(message)
    else:
        raise AssertionError('a mistake was not noticed')


if __name__ == '__main__':
    print(other.get())
    refused(LookupError, 'the context variable var is not set', var.get)

    var.set('spam')
    token = var.set('ham')
    print(var.get())

    ctx = copy_context()
    refused(ValueError, 'cannot reset other: the token was made by another variable, var', other.reset, token)
    refused(ValueError, 'cannot reset var: the token was made in another context', ctx.run, var.reset, token)
    var.reset(token)
    print(var.get())
    refused(RuntimeError, 'cannot reset var: the token has been used already', var.reset, token)

    refused(RuntimeError, 'cannot enter the context: it is running already', ctx.run, ctx.run, print)
    print(ctx.run(var.get))
