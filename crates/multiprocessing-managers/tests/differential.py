"""The same random calls to CPython's SyncManager and to the server under test, and their replies compared.

    differential.py --list                  the types
    differential.py --address 127.0.0.1:PORT|/PATH --authkey-file FILE [--seed N] [--calls N] [--types list,dict]

It speaks the protocol itself, so that replies are seen as they are: their kind, the value with all types and with what
is shared in it, the class and the arguments of an error. Of a traceback only the class of the error counts, of a proxy
which object it means. The exit code is 1 where there is a difference that `ALLOWED` does not name.

A call that blocks is a reply too. Sets that a server iterates or shows have at most one item: the order of more is no
promise of Python's. Characters that this Python's Unicode does not have are not sent: they may be printable where it is
newer.
"""

import argparse
import array
import collections
import contextlib
import datetime
import decimal
import fractions
import functools
import io
import multiprocessing
import operator
import os
import pickle
import random
import re
import struct
import sys
import tempfile
import unicodedata
import uuid
from multiprocessing import managers
from multiprocessing.connection import Client, wait
from multiprocessing.reduction import ForkingPickler

# Where a difference is meant: the type and method as a pattern, what tells it by the call and both outcomes, and why.
ALLOWED = [
    (r'list\.sort', lambda call, outcomes: callable(call.kwds.get('key')),
     'a sort key is a function of Python, which a server without Python does not run'),
    (r'protocol\..*', lambda call, outcomes: {kind for kind, *_ in outcomes} == {'#TRACEBACK'},
     'a malformed request: what is wrong with it is for people only; clients see a RemoteError'),
    (r'protocol\..*', lambda call, outcomes: type_error(outcomes[0]) and not well_formed(*call.args),
     'a request that is no tuple, arguments that are any iterable, keywords that are no dict: no client sends them'),
    (r'.*', lambda call, outcomes: type_error(outcomes[0]) and any(map(has_surrogates, keywords(call))),
     'a keyword with a lone surrogate, which no text of Rust can hold'),
    (r'Namespace\.(__str__|__repr__)', lambda call, outcomes: repr_of(outcomes[0]) == escaped(repr_of(outcomes[1])),
     'a name with a lone surrogate: it is shown escaped, since no text of Rust can hold it'),
    (r'.*\.create\.(Bounded)?Semaphore', lambda call, outcomes: any(type(arg) is float or type(arg) is int and
     arg >= 2**63 for arg in [*call.args, *call.kwds.values()]), 'a semaphore counts with whole numbers, below 2**63'),
    (r'.*\.create\.Barrier', lambda call, outcomes: outcomes[0] == ('#TRACEBACK', 'RuntimeError'),
     'the action of a barrier is a function of Python, which a server without Python does not run'),
    (r'.*', lambda call, outcomes: 'no attribute \'_registry\'' in str(outcomes[1]) and '<object ' in repr(call),
     'CPython iterates over a dict that it holds through a proxy, which has no manager there, and so fails'),
    (r'dict\.update', lambda call, outcomes: 'KeyError' in str(outcomes[1]) and 'nan' in str(outcomes[1]) and
     any(isinstance(arg, Ref) for arg in call.args),
     'CPython gets each key of a dict through a proxy of it: a copy, and that of a NaN is another key'),
]


def well_formed(request):
    return isinstance(request, tuple) and isinstance(request[2], (tuple, list)) and isinstance(request[3], dict)


def type_error(outcome):
    """Whether it is one, of the method or of what is around it."""
    kind, result = outcome
    return kind == '#TRACEBACK' and result == 'TypeError' or kind == '#ERROR' and result[1:3] == ('builtins', 'TypeError')


def keywords(call):
    """Those that the server gets."""
    if call.method not in ('call', 'request'):
        return call.kwds
    request = call.args[0]
    return request[3] if isinstance(request, (tuple, list)) and len(request) == 4 and well_formed(request) else ()


def has_surrogates(value):
    return isinstance(value, str) and any('\ud800' <= char <= '\udfff' for char in value)


def escaped(text):
    return text.encode('utf-8', 'backslashreplace').decode()


def repr_of(outcome):
    kind, result = outcome
    return result[1] if kind == '#RETURN' else ''


BLOCKED = ('#BLOCKED', None)
CLOSED = ('#CLOSED', None)
MOMENT = 0.1  # Seconds without a reply from either, until a call counts as blocked.
LONG = 20  # Seconds for whatever must come.


# -- What is sent and received ------------------------------------------------------------------------------------

class Ref:
    """An object of both servers, by its number."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f'<object {self.number}>'


class Proxy:
    """A proxy in a reply."""

    def __init__(self, function, token, serializer, kwds):
        self.function, self.token, self.serializer, self.kwds = function, token, serializer, kwds

    def __repr__(self):
        return f'<proxy of {self.token}>'


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ('multiprocessing.managers', 'RebuildProxy'):
            return Proxy
        return super().find_class(module, name)


class Useless(Exception):
    """A connection waits for ever, or is closed."""


class Caller:
    """A call connection."""

    def __init__(self, server, name):
        self.server = server
        self.connection = server.connect()
        assert self.call((None, 'accept_connection', (name,), {})) == ('#RETURN', None)

    def send(self, request):
        with contextlib.suppress(OSError):  # Then nothing will be received either.
            self.connection.send_bytes(self.server.dumps(request))

    def receive(self):
        return self.server.receive(self.connection)

    def call(self, request):
        self.send(request)
        assert self.connection.poll(LONG), f'no reply to {request}'
        return self.receive()


class Server:
    def __init__(self, address, key):
        self.address, self.key = address, key
        self.idents = {}  # The number of each object.
        self.objects = {}  # By its number: typeid, ident, exposed.

    def connect(self):
        return Client(self.address, authkey=self.key)

    def control(self, request):
        """A call of the server's own functions, on a connection of its own."""
        with self.connect() as connection:
            connection.send_bytes(self.dumps(request))
            assert connection.poll(LONG), f'no reply to {request}'
            return self.receive(connection)

    def receive(self, connection):
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return CLOSED
        try:
            kind, result = Unpickler(io.BytesIO(data)).load()
        except Exception as error:
            return '#UNREADABLE', f'{data}: {error!r}'
        return kind, result

    def create(self, number, typeid, args, kwds):
        kind, result = reply = self.control((None, 'create', (typeid, *args), kwds))
        if kind != '#RETURN':
            return reply
        ident, exposed = result
        self.enter(number, typeid, ident, exposed)
        return kind, ('created', exposed)

    def enter(self, number, typeid, ident, exposed):
        self.idents[ident] = number
        self.objects[number] = typeid, ident, exposed

    def ident(self, number):
        return self.objects[number][1]

    def token(self, number):
        typeid, ident, _ = self.objects[number]
        return managers.Token(typeid, self.address, ident)

    def forget(self, number):
        del self.idents[self.objects.pop(number)[1]]

    def dumps(self, value):
        server = self

        class Pickler(ForkingPickler):
            def reducer_override(self, value):
                if not isinstance(value, Ref):
                    return NotImplemented
                typeid, _, exposed = server.objects[value.number]
                proxy = managers.SyncManager._registry[typeid][3]
                auto = {'exposed': exposed} if proxy is managers.AutoProxy else {}
                return managers.RebuildProxy, (proxy, server.token(value.number), 'pickle', auto)

        buffer = io.BytesIO()
        Pickler(buffer, 4).dump(value)
        return buffer.getvalue()


# -- Comparing ----------------------------------------------------------------------------------------------------

def text(value):
    """Without addresses and thread ids."""
    return re.sub(r'owner=[1-9]\d*', 'owner=?', re.sub(r'0x[0-9a-f]+', '0x?', value))


def shape(value, server, seen=None):
    """A value as something that can be compared: with its types, and with what is shared in it."""
    seen = {} if seen is None else seen
    inner = functools.partial(shape, server=server, seen=seen)
    kind = type(value)
    if kind in (list, dict, set, bytearray) or not kind.__module__ == 'builtins':
        if id(value) in seen:
            return 'again', seen[id(value)][0]
        seen[id(value)] = len(seen), value  # The value stays alive, so that its id is not used again.
    if kind is str:
        return 'str', text(value)
    if kind is float:
        return 'float', 'nan' if value != value else struct.pack('d', value)
    if kind is complex:
        return 'complex', inner(value.real), inner(value.imag)
    if value is None or kind in (bool, int, bytes):
        return kind.__name__, value
    if kind in (bytearray, array.array):
        return kind.__name__, getattr(value, 'typecode', None), bytes(value)
    if kind in (list, tuple):
        return kind.__name__, [inner(item) for item in value]
    if kind is dict:
        return 'dict', [(inner(key), inner(item)) for key, item in value.items()]
    if kind in (set, frozenset):
        return kind.__name__, sorted((shape(item, server) for item in value), key=repr)
    if kind in (slice, range):
        return kind.__name__, [inner(part) for part in (value.start, value.stop, value.step)]
    if kind is Proxy:
        token = value.token
        number = server.idents.get(token.id, 'unknown')
        address = token.address == server.address
        exposed = sorted(set(value.kwds.get('exposed', ())))
        names = sorted(value.kwds)
        return 'proxy', value.function.__qualname__, token.typeid, address, number, value.serializer, names, exposed
    if isinstance(value, type) or callable(value) and hasattr(value, '__qualname__'):
        return 'global', value.__module__, value.__qualname__
    if isinstance(value, BaseException):
        return 'exception', kind.__module__, kind.__qualname__, inner(value.args), inner(value.__dict__)
    reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        return 'global', kind.__module__, reduced
    head, arguments, *rest = reduced
    # What is made of items is made with an iterator of them.
    rest = [list(part) if hasattr(part, '__next__') else part for part in rest]
    return 'object', inner(head), inner(arguments), [inner(part) for part in rest]


def last_line(traceback):
    return [line for line in traceback.splitlines() if line.strip()][-1]


def outcome(reply, server):
    kind, result = reply
    if kind in (BLOCKED[0], CLOSED[0], '#UNREADABLE'):
        return reply
    if kind == '#TRACEBACK':
        return kind, re.split(r'[:\s]', last_line(result))[0]
    if kind == '#UNSERIALIZABLE':
        return kind, isinstance(result, str)
    if kind == '#PROXY':
        exposed, token = result
        return kind, tuple(exposed), token.typeid, token.address == server.address
    return kind, shape(result, server)


# -- Values -------------------------------------------------------------------------------------------------------

INTS = [0, 1, 2, 3, -1, -2, 5, 10, 255, 256, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1,
        2**63, -2**63, -2**63 - 1, 2**64, 2**70, -2**70, 10**30]
FLOATS = [0.0, -0.0, 1.0, 1.5, -2.5, 0.1, 1e16, 1e-5, 1e22, 1e300, 5e-324, 2.0**53, 2.0**63, 2.0**70, 123456789.123,
          float('inf'), float('-inf'), float('nan'), 1e15, 123456789012345680.0, 0.0001, 0.00001]
TEXTS = ['', 'a', 'b', 'ab', 'Ab', 'it\'s', 'say "x"', 'both \' and "', 'back\\slash', 'new\nline\t\r', '\0\x1f\x7f',
         '\x80\x9f\xa0\xad\xff', 'ß', 'Привет', '你好', '😀', '\ud800', 'x\udfff', '\u200b\u2028', '\ue000', '\U000e0001',
         '\u0378', '1', 'x' * 300, '\xe9', 'e\u0301', '{}', '%s']
BYTES = [b'', b'a', b'1', b"it's", b'"', b'\'"', b'\0\x7f\x80\xff\n\t\r\\', b'x' * 300]
GLOBALS = [int, str, len, print, ValueError, list, dict.fromkeys, operator.add, collections.OrderedDict, ...,
           NotImplemented]
NAMES = ['x', 'y', 'name', 'job', 'Über', 'a_b', 'x1']


class Values:
    def __init__(self, random, refs, opaque):
        self.random, self.refs, self.opaque = random, refs, opaque

    def int(self):
        return self.random.choice(INTS) if self.random.random() < .6 else self.random.randint(-20, 20)

    def float(self):
        chance = self.random.random()
        if chance < .5:
            return self.random.choice(FLOATS)
        if chance < .75:
            return self.random.uniform(-100, 100)
        number = struct.unpack('d', self.random.randbytes(8))[0]
        return number if number == number else 0.5

    def number(self):
        return self.random.choice([self.int, self.float, lambda: self.random.choice([True, False])])()

    def str(self):
        if self.random.random() < .7:
            return self.random.choice(TEXTS)
        chars = (chr(self.random.choice([self.random.randrange(32, 127), self.random.randrange(0x11000)]))
                 for _ in range(self.random.randrange(6)))
        return ''.join(char for char in chars if unicodedata.category(char) != 'Cn')

    def bytes(self):
        if self.random.random() < .7:
            return self.random.choice(BYTES)
        return self.random.randbytes(self.random.randrange(6))

    def some(self, most, make):
        return [make() for _ in range(self.random.randint(0, most))]

    def hashable(self, depth=0):
        """A key: often one that is equal to another of another type."""
        makers = [self.int, self.int, self.float, self.str, self.str, self.bytes,
                  lambda: self.random.choice([None, True, False])]
        if depth < 2:
            makers += [lambda: tuple(self.some(3, lambda: self.hashable(depth + 1))),
                       lambda: frozenset(self.some(1, lambda: self.hashable(depth + 1))),
                       lambda: complex(self.float(), self.float()),
                       lambda: range(self.random.randint(-3, 3), self.random.randint(-3, 9))]
        return self.random.choice(makers)()

    def item(self, depth=0):
        """A value that is only kept."""
        if not self.opaque or self.random.random() < .7:
            return self.value(depth)
        return self.opaque_value(depth)

    def value(self, depth=0):
        if self.refs and self.random.random() < .02:
            return Ref(self.random.choice(self.refs))
        if depth > 2 or self.random.random() < .6:
            return self.hashable(depth)
        deeper = functools.partial(self.value, depth + 1)
        return self.random.choice([
            lambda: self.some(4, deeper),
            lambda: tuple(self.some(3, deeper)),
            lambda: {self.hashable(1): deeper() for _ in range(self.random.randint(0, 3))},
            lambda: set(self.some(1, self.hashable)),
            lambda: bytearray(self.bytes()),
            lambda: slice(*(self.random.choice([None, 0, 3, -2, 'a', 1.5]) for _ in range(3))),
            lambda: array.array(*self.array()),
            lambda: self.shared(deeper),
        ])()

    def shared(self, deeper):
        """One object twice, or inside of itself."""
        once = self.some(2, deeper)
        if self.random.random() < .5:
            return [once, once]
        once.append(self.random.choice([once, {'self': once}, (once,)]))
        return once

    def opaque_value(self, depth):
        """What a server without Python keeps but cannot look into."""
        return self.random.choice([
            lambda: self.random.choice(GLOBALS),
            lambda: fractions.Fraction(self.random.randint(-9, 9), 7),
            lambda: decimal.Decimal('1.50'),
            lambda: datetime.datetime(2024, 2, 29, 12, 30, 1, self.random.randrange(10**6)),
            lambda: uuid.UUID(int=self.random.getrandbits(128)),
            lambda: collections.OrderedDict(a=1, b=self.value(depth + 2)),
            lambda: collections.deque(self.some(3, lambda: self.value(depth + 2)), 5),
            lambda: collections.Counter('abracadabra'),
            lambda: functools.partial(print, self.hashable(), sep='-'),
            lambda: self.random.choice([ValueError, KeyError, OSError, StopIteration])(2, self.str()),
            lambda: set(self.some(5, self.hashable)),
            lambda: frozenset(self.some(5, self.hashable)),
            lambda: argparse.Namespace(a=self.value(depth + 2)),
            lambda: managers.Namespace(a=self.value(depth + 2)),
        ])()

    def iterable(self, make=None):
        make = make or self.item
        return self.random.choice([
            lambda: self.some(5, make),
            lambda: tuple(self.some(5, make)),
            lambda: self.str(),
            lambda: self.bytes(),
            lambda: range(self.random.randint(-3, 3), self.random.randint(-3, 9), self.random.choice([1, 2, -1, -3])),
            lambda: {self.hashable(): make() for _ in range(self.random.randint(0, 3))},
            lambda: set(self.some(1, self.hashable)),
            lambda: bytearray(self.bytes()),
            lambda: array.array(*self.array()),
            lambda: {1: 'a', 'b': 2}.items(),
        ])()

    def index(self):
        return self.random.choice([
            lambda: self.random.randint(-4, 6), lambda: self.random.randint(-4, 6), lambda: self.random.randint(-4, 6),
            lambda: self.random.choice(INTS), lambda: self.random.choice([True, False]),
        ])()

    def part(self):
        bound = lambda: None if self.random.random() < .3 else self.index()
        step = lambda: self.random.choice([None, None, None, 1, 2, -1, -2, 0, 2**70, True])
        return slice(bound(), bound(), step())

    def subscript(self):
        return self.random.choice([self.index, self.index, self.part, self.part, self.value])()

    def array(self):
        code = self.random.choice('bBhHiIlLqQfdu')
        if code == 'u':
            return code, self.random.choice(['', 'abc', 'ß你😀'])
        if code in 'fd':
            return code, self.some(4, lambda: self.random.choice(FLOATS[:15]))
        return code, self.some(4, lambda: self.random.randint(0, 100))

    def timeout(self):
        return self.random.choice([0, 0.0, 0.001, 0.001, 0.001, -1, -0.5, False, '1', [], 1j, 2**70, 1e300,
                                   float('inf')])

    def name(self):
        return self.random.choice(NAMES) if self.random.random() < .9 else self.str()


# -- Calls --------------------------------------------------------------------------------------------------------

class Call(collections.namedtuple('Call', 'method args kwds')):
    def __repr__(self):
        args = [repr(arg) for arg in self.args] + [f'{name}={value!r}' for name, value in self.kwds.items()]
        shown = ', '.join(args)
        return f'{self.method}({shown if len(shown) < 600 else shown[:600] + "..."})'


def call(method, *args, **kwds):
    return Call(method, args, kwds)


class Made:
    """How objects of a type are made, and called."""

    spoils = True  # Whether any argument may be replaced by any value, and not be one that waits for ever.
    waits = ()  # The methods that may block.

    def __init__(self, random):
        self.random = random

    def arguments(self, v):
        return (), {}

    def bad_arguments(self, v):
        return self.random.choice([((v.value(),), {}), ((v.value(), v.value()), {}), ((), {'x': v.value()})])

    def methods(self, v):
        """The calls, with how often each is chosen."""
        raise NotImplementedError

    def call(self, v):
        chance = self.random.random()
        if chance < .03:
            return self.random.choice([call('__repr__'), call('__str__'), call('#GETVALUE'), call('__str__', 1)])
        if chance < .04:
            name = self.random.choice(['no_such', '__class__', '__init__', '', 'append', 'acquire', '__len__ '])
            return call(name, *v.some(1, v.value))
        weights, makers = zip(*self.methods(v))
        made = self.random.choices(makers, weights)[0]()
        if chance < .12:
            made = self.spoil(made, v)
        return made

    def spoil(self, made, v):
        """One argument too few or too many, of another type, or by a name."""
        args, kwds = list(made.args), dict(made.kwds)
        way = self.random.randrange(4)
        if way == 0 and args:
            args.pop()
        elif way == 1 and self.spoils:
            args.append(v.value())
        elif way == 2 and args and self.spoils:
            args[self.random.randrange(len(args))] = v.value()
        else:
            kwds[self.random.choice(['x', 'key', 'self', 'name', 'no_such'])] = v.value()
        return Call(made.method, tuple(args), kwds)


class List(Made):
    def arguments(self, v):
        return self.random.choice([((), {}), ((v.iterable(),), {}), ((v.some(8, v.number),), {})])

    def methods(self, v):
        factor = lambda: self.random.choice([0, 1, 2, 2, 3, -1, True, 2**62, 2**70, 1.5, 'a', None])
        order = lambda: self.random.choice([{}, {'reverse': True}, {'reverse': v.value()}, {'key': None}])
        return [
            (8, lambda: call('append', v.item())),
            (4, lambda: call('extend', v.iterable())),
            (4, lambda: call('insert', v.index(), v.item())),
            (4, lambda: call('pop', *v.some(1, v.index))),
            (3, lambda: call('remove', v.hashable())),
            (4, lambda: call('index', v.hashable(), *v.some(2, v.index))),
            (4, lambda: call('count', v.hashable())),
            (4, lambda: call('__contains__', v.hashable())),
            (6, lambda: call('__getitem__', v.subscript())),
            (6, lambda: call('__setitem__', v.index(), v.item())),
            (5, lambda: call('__setitem__', v.part(), v.iterable())),
            (5, lambda: call('__delitem__', v.subscript())),
            (2, lambda: call('__len__')),
            (2, lambda: call('__add__', self.random.choice([v.some(2, v.value), v.value()]))),
            (1, lambda: call('__mul__', factor())),
            (1, lambda: call('__rmul__', factor())),
            (1, lambda: call('__imul__', factor())),
            (2, lambda: call('__reversed__')),
            (2, lambda: call('reverse')),
            (3, lambda: call('sort', **order())),
            # Of one type, so that there is an order.
            (3, lambda: call('__setitem__', slice(None), v.some(6, self.random.choice([v.number, v.str, v.bytes])))),
            (1, lambda: call('__setitem__', slice(None), [tuple(v.some(3, v.number)) for _ in range(4)])),
            (.3, lambda: call('sort', key=self.random.choice([str, len]))),
        ]


class Dict(Made):
    def arguments(self, v):
        return self.random.choice([
            ((), {}),
            (({v.hashable(): v.item() for _ in range(self.random.randint(0, 5))},), {}),
            ((v.some(4, lambda: (v.hashable(), v.item())),), {}),
            ((), {v.name(): v.item() for _ in range(2)}),
            (({1: 2},), {'a': v.item()}),
        ])

    def methods(self, v):
        key = lambda: v.hashable() if self.random.random() < .95 else v.value()
        pairs = lambda: self.random.choice([
            {v.hashable(): v.item() for _ in range(self.random.randint(0, 3))},
            v.some(3, lambda: (key(), v.item())),
            v.some(2, lambda: [key(), v.item()]),
            v.iterable(v.value),
            ['ab', 'cd'],
        ])
        return [
            (12, lambda: call('__setitem__', key(), v.item())),
            (6, lambda: call('__getitem__', key())),
            (4, lambda: call('__delitem__', key())),
            (4, lambda: call('__contains__', key())),
            (2, lambda: call('__len__')),
            (4, lambda: call('get', key(), *v.some(1, v.item))),
            (4, lambda: call('pop', key(), *v.some(1, v.item))),
            (2, lambda: call('popitem')),
            (4, lambda: call('setdefault', key(), *v.some(1, v.item))),
            (4, lambda: call('update', pairs())),
            (2, lambda: call('update', *v.some(1, pairs), **{v.name(): v.item()})),
            (2, lambda: call('keys')),
            (2, lambda: call('values')),
            (2, lambda: call('items')),
            (2, lambda: call('copy')),
            (.5, lambda: call('clear')),
            (2, lambda: call('__iter__')),
        ]


class Iterator(Made):
    """What `dict.__iter__` makes. The dict changes meanwhile."""

    def methods(self, v):
        return [
            (10, lambda: call('__next__')),
            (1, lambda: call('send', v.value())),
            (1, lambda: call('throw', ValueError)),
            (1, lambda: call('close')),
        ]


class Namespace(Made):
    def arguments(self, v):
        return (), {v.name(): v.item() for _ in range(self.random.randint(0, 3))}

    def methods(self, v):
        name = lambda: v.name() if self.random.random() < .95 else v.value()
        return [
            (5, lambda: call('__getattribute__', name())),
            (5, lambda: call('__setattr__', name(), v.item())),
            (2, lambda: call('__delattr__', name())),
        ]


class Value(Made):
    def arguments(self, v):
        code = self.random.choice(['i', 'd', 'c', v.value()])
        return (code, v.item()), self.random.choice([{}, {'lock': True}, {'lock': None}])

    def methods(self, v):
        return [(1, lambda: call('get')), (1, lambda: call('set', v.item()))]


class Array(Made):
    def arguments(self, v):
        return self.random.choice([(v.array(), {}), (v.array(), {'lock': False}),
                                   ((self.random.choice('bBhHiIlLqQfdu'), v.some(4, v.number)), {})])

    def bad_arguments(self, v):
        return self.random.choice([
            lambda: ((self.random.choice(['x', 'ii', '', 5, None, 'b']), v.iterable(v.value)), {}),
            lambda: ((self.random.choice('bBhHiIlLqQfdu'), self.random.choice([v.value(), v.iterable()])), {}),
            lambda: super(Array, self).bad_arguments(v),
        ])()

    def methods(self, v):
        item = lambda: self.random.choice([
            lambda: self.random.randint(-200, 300), v.number, v.number, v.value, lambda: self.random.choice('a😀')])()
        return [
            (1, lambda: call('__len__')),
            (4, lambda: call('__getitem__', v.subscript())),
            (4, lambda: call('__setitem__', v.index(), item())),
            (3, lambda: call('__setitem__', v.part(), array.array(*v.array()))),
            (1, lambda: call('__setitem__', v.subscript(), v.value())),
        ]


class Blocking(Made):
    spoils = False
    waits = 'acquire', 'wait', 'get', 'put', 'join'

    def wakes(self, blocked, v):
        """What another caller does, so that a blocked call ends."""
        raise NotImplementedError


class Lock(Blocking):
    def wakes(self, blocked, v):
        return [call('release')] * 3

    def methods(self, v):
        return [
            (2, lambda: call('acquire', False)),
            (2, lambda: call('acquire', True, v.timeout())),
            (1, lambda: call('acquire', blocking=self.random.choice([False, 0, [], None, '']))),
            (1, lambda: call('acquire', timeout=v.timeout())),
            (1, lambda: call('acquire', False, v.timeout())),
            (1, lambda: call('acquire', self.random.choice([0, 1, 2**70, 'x', None, [], 1.5]), 0.001)),
            (.05, lambda: call('acquire')),
            (5, lambda: call('release')),
            (.1, lambda: call('release', v.str())),  # No number: a semaphore of CPython's would count on with any.
        ]


class Semaphore(Lock):
    def arguments(self, v):
        count = self.random.randint(0, 3)
        return self.random.choice([((), {}), ((count,), {}), ((), {'value': count}),
                                   ((self.random.choice([1.5, 2**70, 0.0]),), {})])

    def bad_arguments(self, v):
        return self.random.choice([((self.random.choice([-1, 'a', None, [], -2**70, 1j]),), {}),
                                   super().bad_arguments(v)])

    def methods(self, v):
        count = lambda: self.random.choice([0, 1, 2, 5, -1, True, 'a', None, []])
        return super().methods(v) + [
            (1, lambda: call('release', count())),
            (1, lambda: call('release', n=count())),
        ]


class Condition(Lock):
    def wakes(self, blocked, v):
        if blocked.method == 'wait':
            return [call('acquire', False), call(self.random.choice(['notify', 'notify_all'])), call('release')]
        return super().wakes(blocked, v)

    def arguments(self, v):
        return (), {}

    def bad_arguments(self, v):
        return self.random.choice([((v.hashable(),), {}), ((None, None), {}), ((), {'x': 1})])

    def methods(self, v):
        count = lambda: self.random.choice([0, 1, 2, 5, -1, True, 'a', None, 1.5, 2**70])
        return super().methods(v) + [
            (2, lambda: call('wait', v.timeout())),
            (.1, lambda: call('wait', None)),
            (2, lambda: call('notify')),
            (1, lambda: call('notify', count())),
            (1, lambda: call('notify', n=count())),
            (1, lambda: call('notify_all')),
            (1, lambda: call('notify_all', v.value())),
        ]


class Event(Blocking):
    def wakes(self, blocked, v):
        return [call('set')]

    def methods(self, v):
        return [
            (2, lambda: call('is_set')),
            (1, lambda: call('set')),
            (2, lambda: call('clear')),
            (2, lambda: call('wait', v.timeout())),
            (1, lambda: call('wait', timeout=v.timeout())),
            (.03, lambda: call('wait')),
            (.03, lambda: call('wait', None)),
            (.2, lambda: call('set', v.value())),
        ]


class Barrier(Blocking):
    def wakes(self, blocked, v):
        return [self.random.choice([call('wait', 0.001), call('reset'), call('abort')])]

    def arguments(self, v):
        return self.random.choice([((1,), {}), ((2,), {}), ((3, None, 0.001), {}),
                                   ((), {'parties': 2, 'timeout': 0.001}), ((1.5, None, 0.001), {}), ((True,), {}),
                                   ((2, None, v.timeout()), {})])

    def bad_arguments(self, v):
        return self.random.choice([((self.random.choice([0, -1, 'a', None, [], 0.0]),), {}), super().bad_arguments(v)])

    def methods(self, v):
        name = lambda: self.random.choice(['parties', 'n_waiting', 'broken', 'no_such', v.str()])
        return [
            (4, lambda: call('wait', v.timeout())),
            (.03, lambda: call('wait', None)),
            (.03, lambda: call('wait')),
            (1, lambda: call('wait', timeout=v.timeout())),
            (1, lambda: call('abort')),
            (3, lambda: call('reset')),
            (.2, lambda: call('abort', v.value())),
            (4, lambda: call('__getattribute__', name())),
            (.2, lambda: call('__getattribute__', v.value())),
        ]


class Queue(Blocking):
    def wakes(self, blocked, v):
        return {'get': [call('put', v.item(), False)], 'put': [call('get', False)],
                'join': [call('task_done')] * 5}[blocked.method]

    def arguments(self, v):
        size = lambda: self.random.choice([0, 1, 3, 3, 5, -1, 2**70, True, 2.5])
        return self.random.choice([((), {}), ((size(),), {}), ((), {'maxsize': size()})])

    def bad_arguments(self, v):
        return self.random.choice([((v.value(), v.value()), {}), ((), {'x': v.value()}), ((1,), {'maxsize': 1})])

    def methods(self, v):
        false = lambda: self.random.choice([False, False, 0, '', None, []])
        return [
            (6, lambda: call('put', v.item(), false())),
            (3, lambda: call('put', v.item(), True, v.timeout())),
            (2, lambda: call('put', v.item(), False, v.timeout())),
            (2, lambda: call('put', v.item(), timeout=v.timeout())),
            (2, lambda: call('put', block=False, item=v.item())),
            (3, lambda: call('put_nowait', v.item())),
            (4, lambda: call('get', false())),
            (2, lambda: call('get', True, v.timeout())),
            (1, lambda: call('get', timeout=v.timeout(), block=True)),
            (1, lambda: call('get', False, v.timeout())),
            (2, lambda: call('get_nowait')),
            (.05, lambda: call('get')),
            (.05, lambda: call('put', v.item())),
            (.05, lambda: call('join')),
            (2, lambda: call('qsize')),
            (2, lambda: call('empty')),
            (2, lambda: call('full')),
            (3, lambda: call('task_done')),
            (.2, lambda: call('task_done', v.value())),
        ]


TYPES = {
    # First: it counts the objects, and CPython's server keeps one for ever where an iteration fails.
    'protocol': None,
    'list': List, 'dict': Dict, 'Iterator': Iterator, 'Namespace': Namespace, 'Lock': Lock, 'RLock': Lock,
    'Semaphore': Semaphore, 'BoundedSemaphore': Semaphore, 'Condition': Condition, 'Event': Event, 'Barrier': Barrier,
    'Queue': Queue, 'JoinableQueue': Queue, 'Value': Value, 'Array': Array,
}


# -- A run --------------------------------------------------------------------------------------------------------

class Run:
    """So many calls to objects of one type."""

    def __init__(self, typeid, servers, seed, calls):
        self.typeid, self.servers, self.calls = typeid, servers, calls
        self.random = random.Random(f'{seed} {typeid}')
        self.made = TYPES[typeid] and TYPES[typeid](self.random)
        self.numbers = iter(range(1, sys.maxsize))
        self.done = self.differences = self.allowed = 0
        self.kinds = collections.Counter()
        self.callers = self.connect()

    def connect(self):
        """Two callers, so that there are owners and others."""
        return [[Caller(server, f'{self.typeid} {n}') for server in self.servers] for n in range(2)]

    def reconnect(self):
        for caller in sum(self.callers, []):
            caller.connection.close()
        self.callers = self.connect()

    def compare(self, what, replies):
        """Whether they are the same. What is not is printed."""
        self.done += 1
        ours, theirs = outcomes = [outcome(reply, server) for reply, server in zip(replies, self.servers)]
        self.kinds[theirs[0]] += 1
        if ours == theirs:
            return True
        for pattern, tells, why in ALLOWED:
            if re.fullmatch(pattern, f'{self.typeid}.{what.method}') and tells(what, outcomes):
                self.allowed += 1
                return False
        self.differences += 1
        print(f'{self.typeid}.{what}')
        for name, reply in zip(('here', 'CPython'), replies):
            kind, result = reply
            shown = last_line(result) if kind == '#TRACEBACK' else repr(result)
            print(f'  {name:8}{kind} {shown if len(shown) < 1000 else shown[:1000] + "..."}')
        sys.stdout.flush()
        return False

    def create(self, typeid, args, kwds):
        """The number of a new object, where both servers made one."""
        number = next(self.numbers)
        replies = [server.create(number, typeid, args, kwds) for server in self.servers]
        same = self.compare(Call(f'create.{typeid}', args, kwds), replies)
        if same and replies[0][0] == '#RETURN':
            return number
        self.drop([number])
        return None

    def drop(self, numbers):
        for server in self.servers:
            for number in numbers:
                if number in server.objects:
                    server.control((None, 'decref', (server.ident(number),), {}))
                    server.forget(number)

    def ask(self, number, what, callers):
        """The reply of each server."""
        for server, caller in zip(self.servers, callers):
            caller.send((server.ident(number), *what))
        return self.answers(what, callers)

    def answers(self, what, callers):
        connections = [caller.connection for caller in callers]
        if what.method in self.made.waits and not wait(connections, MOMENT):
            # Not only because the machine is busy: it has time for others.
            for server in self.servers:
                server.control((None, 'dummy', (), {}))
            if not wait(connections, MOMENT / 10):
                return [BLOCKED, BLOCKED]
        assert wait(connections, LONG), f'no reply to {what}'
        # Where one has answered, the other is only slow, or wrong.
        return [caller.receive() if caller.connection.poll(LONG) else BLOCKED for caller in callers]

    def wake(self, number, blocked, values, callers, others):
        """Ends a blocked call by another caller. Returns whether it ended, the same for both."""
        for what in self.made.wakes(blocked, values):
            if not self.compare(what, self.ask(number, what, others)):
                return False
            replies = self.answers(blocked, callers)
            if replies != [BLOCKED, BLOCKED]:
                return self.compare(blocked, replies) and BLOCKED not in replies
        return False

    def object(self):
        """One object, from its making to its end."""
        opaque = self.typeid in KEEPERS and self.random.random() < .2
        first = Values(self.random, [], opaque)
        kind = 'dict' if self.typeid == 'Iterator' else self.typeid
        source = Dict(self.random) if self.typeid == 'Iterator' else self.made
        if self.random.random() < .2:
            number = self.create(kind, *source.bad_arguments(first))
            if number is not None:
                self.drop([number])
        number = self.create(kind, *source.arguments(first))
        if number is None:
            return
        # A few others, to be referred to.
        refs = [self.create(other, (), {}) for other in ('list', 'dict', 'Queue', 'Lock') if self.random.random() < .3]
        numbers = [number, *(ref for ref in refs if ref is not None)]
        values = Values(self.random, numbers, opaque)
        try:
            if self.typeid == 'Iterator':
                self.iterate(number, values)
            else:
                self.use(number, values, self.made, self.random.choice([5, 20, 60]))
        except Useless:
            self.reconnect()
        self.drop(numbers)

    def use(self, number, values, made, times):
        """Calls, until there is a difference or an end. Returns the last replies."""
        for _ in range(times):
            what = made.call(values)
            if values.opaque and what.method in LOOKS or endless(number, what):
                continue
            callers, others = self.random.sample(self.callers, 2)
            replies = self.ask(number, what, callers)
            same = self.compare(what, replies)
            if CLOSED in replies:
                raise Useless
            if BLOCKED in replies:
                if same and self.wake(number, what, values, callers, others):
                    continue
                raise Useless
            if not same:
                return
            kind, result = replies[0]
            if kind == '#PROXY':
                self.iterator(replies)
            elif kind == '#RETURN' and isinstance(result, (list, array.array)) and len(result) > 60:
                return

    def iterator(self, replies):
        """Enters what both have made."""
        number = next(self.numbers)
        for server, (_, (exposed, token)) in zip(self.servers, replies):
            server.enter(number, token.typeid, token.id, exposed)
        if self.typeid != 'Iterator':
            self.drop([number])
        return number

    def iterate(self, source, values):
        replies = self.ask(source, call('__iter__'), self.callers[0])
        if not self.compare(call('__iter__'), replies) or replies[0][0] != '#PROXY':
            return
        number = self.iterator(replies)
        for _ in range(self.random.choice([1, 3, 6])):
            self.use(number, values, self.made, 3)
            if self.random.random() < .3:
                what = self.random.choice([call('__setitem__', 'new', 1), call('clear'), call('popitem'),
                                           call('update', {values.hashable(): 1})])
                self.compare(what, self.ask(source, what, self.callers[0]))
        self.drop([number])

    def run(self):
        while self.done < self.calls:
            self.object()
        for caller in sum(self.callers, []):
            caller.connection.close()
        kinds = ', '.join(f'{count} {kind}' for kind, count in self.kinds.most_common())
        print(f'{self.typeid}: {self.done} calls, {self.differences} differences, {self.allowed} allowed ({kinds})',
              flush=True)
        return self.differences


class Protocol(Run):
    """So many requests of the protocol itself, well and badly formed."""

    def connect(self):
        return [[Caller(server, 'protocol') for server in self.servers]]

    def object(self):
        numbers = [self.create(typeid, (), {}) for typeid in ('list', 'Queue')]
        if None in numbers:
            return
        v = Values(self.random, numbers, False)
        for _ in range(30):
            control = self.random.random() < .3
            request = self.control(v, numbers) if control else self.method(v, numbers)
            what = call('request' if control else 'call', request)
            replies = []
            for server, caller in zip(self.servers, self.callers[0]):
                here = insert_names(request, server)
                replies.append(server.control(here) if control else caller.call(here))
            if not self.compare(what, [plain(reply) for reply in replies]):
                self.reconnect()
                break
        self.drop(numbers)

    def control(self, v, numbers):
        name = self.random.choice(['dummy', 'number_of_objects', 'debug_info', 'get_methods', 'incref', 'decref',
                                   'create', 'accept_connection', 'no_such', '', '__init__', 'mutex', 5, None, 1.5,
                                   b'dummy'])
        known = Ident(self.random.choice(numbers))
        args = self.random.choice([
            lambda: (),
            lambda: (v.value(),),
            lambda: (self.random.choice(['no such', '', 5, None, []]),),
            lambda: ('list', 1, 2),
            lambda: (1, 2, 3),
        ])
        request = self.random.choice([
            lambda: (None, 'dummy', (), {}),
            lambda: (None, 'number_of_objects', (), {}),
            lambda: ('any ident', 'dummy', (), {}),
            lambda: (None, 'debug_info', (), {}),
            lambda: (None, 'get_methods', (TokenOf(self.random.choice(numbers)),), {}),
            lambda: (None, name, args(), {}),
            lambda: (None, name, args(), {v.name(): v.value()}),
            lambda: (None, self.random.choice(['incref', 'decref']), (known, 1), {}),
            lambda: (None, 'incref', (known,), {}),
            lambda: (None, 'decref', (self.random.choice(['no such', '', 5, None]),), {}),
            lambda: (None, 'incref', (self.random.choice(['no such', '', 5, None]),), {}),
            lambda: self.random.choice([None, 5, 'abc', 'abcd', (), (1,), (None, 'dummy', ()), [], {}, b'1234', 1.5,
                                        [None, 'dummy', [], {}], (None, 'dummy', (), {}, 1), (None, 'dummy', None, {}),
                                        (None, 'dummy', 5, {}), (None, 'dummy', (), None), (None, 'dummy', (), []),
                                        (None, 'dummy', '', {}), (None, 'dummy', (), {1: 2})]),
        ])()
        # What would leave the connection without a reply, or the two servers with different numbers of objects.
        takes = isinstance(request, tuple) and len(request) == 4 and request[1]
        if takes == 'accept_connection' and len(request[2]) == 1 or takes == 'create' and request[2][:1] == ('list',):
            return None, 'dummy', (), {}
        return request

    def method(self, v, numbers):
        ident = self.random.choice([Ident(number) for number in numbers] * 2 + ['no such', '', None, 5, [], '0'])
        name = self.random.choice(['append', 'put', 'no_such', '', '__repr__', '#GETVALUE', '__str__', '__class__', 5,
                                   None, [], b'put', ('put',)])
        return self.random.choice([
            lambda: (ident, name, tuple(v.some(2, v.hashable)), {}),
            lambda: (ident, name, tuple(v.some(2, v.hashable)), {v.name(): v.value()}),
            lambda: [ident, name, v.some(1, v.hashable), {}],
            lambda: (ident, name, self.random.choice([None, 5, 'ab', b'a', {}, {'a': 1}, range(1), {1}]), {}),
            lambda: (ident, name, (1,), self.random.choice([None, 5, [], 'ab', {1: 2}, {'\ud800': 1}, {'': 1}])),
            lambda: self.random.choice([None, 5, 'abc', 'abcd', (), (ident,), (ident, name, ()), [], {}, 1.5, b'1234',
                                        (ident, name, (), {}, 1)]),
        ])()


class Ident(Ref):
    """The name of an object, where it stands by itself."""


class TokenOf(Ref):
    """The token of an object."""


def insert_names(request, server, depth=0):
    """In the request, and in its arguments."""
    if type(request) in (tuple, list) and depth < 2:
        return type(request)(insert_names(part, server, depth + 1) for part in request)
    if isinstance(request, Ident):
        return server.ident(request.number)
    return server.token(request.number) if isinstance(request, TokenOf) else request


def plain(reply):
    """A reply without what is for people only, and without an order where there is none."""
    kind, result = reply
    if kind == '#RETURN' and isinstance(result, str) and 'refcount' in result:
        return kind, 'debug info'
    if kind == '#RETURN' and isinstance(result, tuple):
        return kind, sorted(result)
    return reply


# The types that keep any value, and what a server cannot answer about one that it cannot look into.
KEEPERS = {'list', 'dict', 'Namespace', 'Queue', 'JoinableQueue', 'Value'}
LOOKS = {'__repr__', '__str__', 'index', 'count', 'remove', '__contains__', 'sort'}


def endless(number, what):
    """A list that is extended by itself, through a proxy: CPython's server does that for ever."""
    return what.method == 'extend' and any(isinstance(arg, Ref) and arg.number == number for arg in what.args)


def start_reference(key, directory):
    manager = managers.SyncManager(os.path.join(directory, 'reference'), key, ctx=multiprocessing.get_context('spawn'))
    manager.start()
    return manager


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--list', action='store_true', help='the types')
    parser.add_argument('--address')
    parser.add_argument('--authkey-file')
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument('--calls', type=int, default=1000, help='of each type')
    parser.add_argument('--types', default=','.join(TYPES))
    args = parser.parse_args()
    if args.list:
        if sys.version_info[:2] != (3, 11):
            sys.exit('the errors that are compared are those of Python 3.11, not %d.%d' % sys.version_info[:2])
        print(*TYPES, sep='\n')
        return
    if not args.address or not args.authkey_file:
        parser.error('--address and --authkey-file, or --list')
    sys.stdout.reconfigure(errors='backslashreplace')  # For lone surrogates.
    print(f'seed {args.seed}', flush=True)
    with open(args.authkey_file, 'rb') as file:
        key = file.read()
    # For the server that is started here: some calls go through a connection to itself.
    multiprocessing.current_process().authkey = key
    address = args.address
    if not address.startswith('/'):
        host, port = address.rsplit(':', 1)
        address = host, int(port)
    with tempfile.TemporaryDirectory() as directory, start_reference(key, directory) as reference:
        differences = 0
        for typeid in args.types.split(','):
            servers = [Server(address, key), Server(reference.address, key)]
            run = Protocol if typeid == 'protocol' else Run
            differences += run(typeid, servers, args.seed, args.calls).run()
    sys.exit(differences > 0)


if __name__ == '__main__':
    main()
