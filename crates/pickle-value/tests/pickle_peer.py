"""Random values in every pickle protocol, and whether they came back: `pickle_peer.py write|check SEED COUNT`.

`write` prints COUNT frames, a length and a pickle each. `check` makes the same again, and compares with what each frame
of its input says: structure, and which parts are one object.
"""

import array
import collections
import datetime
import decimal
import enum
import fractions
import functools
import io
import pickle
import random
import struct
import sys
from multiprocessing.reduction import ForkingPickler


class Plain:
    pass


class Slots:
    __slots__ = ("one", "two", "tag")


class Reduced:
    """Made by a call, then items like a list, items like a dict, and a state."""

    def __init__(self, *args):
        self.args, self.items, self.pairs, self.state = args, [], [], None

    def __reduce__(self):
        return Reduced, self.args, self.state, iter(self.items), iter(self.pairs)

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.pairs.append((key, value))

    def __setstate__(self, state):
        self.state = state


class Keywords:
    def __new__(cls, *args, **kwds):
        self = super().__new__(cls)
        self.args, self.kwds = args, kwds
        return self

    def __getnewargs_ex__(self):
        return self.args, self.kwds

    def __getstate__(self):
        return None


class Tree:
    """Its children are an argument, and refer to it."""

    def __init__(self, children):
        self.children = children

    def __reduce__(self):
        return Tree, (self.children,)


class Outer:
    class Inner:
        pass

    @staticmethod
    def method():
        pass


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Numbers(list):
    pass


class Names(dict):
    pass


class Oops(ValueError):
    pass


Point = collections.namedtuple("Point", "x y")


def function():
    pass


class Maker:
    def __init__(self, seed, protocol):
        self.random, self.protocol = random.Random(seed), protocol
        self.made, self.open, self.tags = [], [], 0

    def text(self):
        r = self.random
        letters = ["abc", "äöü", "\u20ac\u4e2d", "\U0001f600", "\ud800", "\udc80", "\n\\\r\0\x1a'\"", "\\u0041"]
        return "".join(r.choice(r.choice(letters)) for _ in range(r.choice([0, 1, 5, 20, 300])))

    def integer(self):
        r = self.random
        return r.choice([1, -1]) * r.getrandbits(r.choice([1, 7, 8, 15, 16, 31, 32, 62, 63, 64, 65, 200, 2050]))

    def scalar(self):
        r = self.random
        return r.choice([
            lambda: None, lambda: True, lambda: False, self.integer, self.integer, self.text, self.text,
            lambda: r.choice([0.0, -0.0, 1.5, 1e300, float("inf"), float("-inf"), float("nan"), r.random()]),
            lambda: complex(r.random(), -0.0), lambda: r.randbytes(r.choice([0, 1, 9, 300])),
            lambda: -(1 << r.choice([7, 8, 15, 16, 31, 32, 63, 64, 127])), lambda: (1 << 63) - r.randint(-1, 1),
        ])()

    def tagged(self, thing):
        self.tags += 1
        thing.tag = self.tags
        return thing

    def key(self, depth):
        r = self.random
        while True:
            key = r.choice([self.scalar, self.scalar, lambda: (self.text(), self.integer()),
                            lambda: frozenset([self.integer(), self.text()]), lambda: Color.RED])()
            if key == key:
                return key

    def value(self, depth=0):
        r = self.random
        if self.made and r.random() < 0.2:
            return r.choice(self.made)
        if depth > 5 or r.random() < 0.3:
            value = self.scalar()
        else:
            value = r.choice([self.tuple, self.tuple, self.list, self.dict, self.set, self.instance, self.instance,
                              self.other])(depth + 1)
        self.made.append(value)
        return value

    def items(self, depth, most=5):
        return [self.value(depth) for _ in range(self.random.randrange(most))]

    def tuple(self, depth):
        return tuple(self.items(depth, 6))

    def list(self, depth):
        made = []
        self.open.append(made)
        made.extend(self.items(depth, 1500 if self.random.random() < 0.002 else 5))
        return made

    def dict(self, depth):
        made = {}
        self.open.append(made)
        for _ in range(self.random.randrange(5)):
            made[self.key(depth)] = self.value(depth)
        return made

    def set(self, depth):
        made = {self.key(depth) for _ in range(self.random.randrange(5))}
        if self.random.random() < 0.3:
            made.add(self.tagged(Plain()))
            self.open.append(made)
        return made if self.random.random() < 0.6 else frozenset(made)

    def instance(self, depth):
        r = self.random
        made = self.tagged(r.choice([Plain, Plain, Slots, Outer.Inner, Reduced])())
        self.open.append(made)
        if type(made) is Reduced:
            made.args = tuple(self.items(depth, 3))
            made.items = self.items(depth, 3)
            made.pairs = [(self.key(depth), self.value(depth)) for _ in range(r.randrange(3))]
            made.state = r.choice([None, [self.value(depth)]])
            del made.tag
        else:
            made.one = self.value(depth)
            if r.random() < 0.3:
                made.two = made
        return made

    def other(self, depth):
        r = self.random
        return r.choice([
            lambda: bytearray(r.randbytes(r.choice([0, 1, 300]))),
            lambda: array.array(r.choice("bh"), [-1, 2, 3]), lambda: array.array(r.choice("BHIQ"), [5, 100]),
            lambda: array.array(r.choice("ilqfd"), [-7]), lambda: array.array("u", "aä\u20ac"), lambda: array.array("Q", [1 << 63]),
            lambda: r.choice([ValueError, KeyError, Oops, OSError])(*self.items(depth, 3)), lambda: self.noted(depth),
            lambda: self.keywords(depth),
            lambda: functools.partial(function, self.value(depth), key=self.value(depth)),
            lambda: r.choice([Plain, Outer, Outer.Inner, Outer.method, function, len, int, Color.BLUE, Color, type(None)]),
            lambda: datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), lambda: datetime.date(1, 2, 3),
            lambda: decimal.Decimal("1.50"), lambda: fractions.Fraction(1, 3), lambda: range(3), lambda: slice(1, None, 2),
            lambda: collections.OrderedDict((self.key(depth), self.value(depth)) for _ in range(3)),
            lambda: collections.defaultdict(list, {self.key(depth): self.value(depth)}),
            lambda: collections.deque(self.items(depth), 9), lambda: collections.Counter("hello"),
            lambda: Point(self.value(depth), self.value(depth)), lambda: Numbers([self.argument(depth, (0, 1))()]),
            lambda: self.named(depth), lambda: self.tree(depth), lambda: self.circle(depth),
        ])()

    def keywords(self, depth):
        value = self.argument(depth, (2, 3))
        return Keywords(value(), size=value())

    def argument(self, depth, protocols):
        """Protocols 2 and 3 call a partial to make an object with keywords, 0 and 1 a function with a list or dict of the
        contents. If these lead back to the object, a pickler needs new ones each time that it meets the object, and
        Python's makes them. Whoever reads the pickle has only the last, so such circles are left out.
        """
        return self.scalar if self.protocol in protocols else lambda: self.value(depth)

    def noted(self, depth):
        error = Oops("with a note")
        error.extra = self.value(depth)
        self.open.append(error)
        return error

    def named(self, depth):
        made = Names(a=self.argument(depth, (0, 1))())
        made.attribute = self.value(depth)
        return made

    def tree(self, depth):
        children = [self.tagged(Plain()) for _ in range(3)]
        tree = Tree(children)
        for child in children:
            child.parent = tree
        return self.random.choice([tree, children[0], children[2], children])

    def circle(self, depth):
        """A tuple that contains itself, by one of several ways."""
        inner, plain = [], self.tagged(Plain())
        made = tuple([inner, plain] + self.items(depth, 3))
        inner.append(made)
        plain.back = self.random.choice([made, inner, {"t": made}, (made, made)])
        return self.random.choice([made, inner, plain, [plain, made], frozenset([plain])])

    def whole(self):
        value = self.value()
        for _ in range(self.random.randrange(4)):
            if not self.open:
                break
            target, back = self.random.choice(self.open), self.random.choice(self.made)
            if isinstance(target, list):
                target.append(back)
            elif isinstance(target, dict):
                target["back"] = back
            elif isinstance(target, set):
                continue
            elif isinstance(target, Reduced):
                target.items.append(back)
            else:
                target.one = back if self.random.random() < 0.5 else value
        return value


def pickles(seed, count):
    """The same for the same arguments. What Python itself cannot pickle, or read again, is left out."""
    for number in range(count):
        protocol = number % 6
        value = Maker(f"{seed} {number}", protocol).whole()
        out = io.BytesIO()
        pickler = ForkingPickler if number // 6 % 2 else random.Random(number).choice([pickle.Pickler, pickle._Pickler])
        try:
            pickler(out, protocol).dump(value)
            pickle.loads(out.getvalue())
        except (pickle.PicklingError, RecursionError, TypeError, AttributeError, ValueError, UnicodeError, KeyError):
            yield number, pickle.dumps(None)
            continue
        yield number, out.getvalue()


PARTS = {
    Plain: vars, Outer.Inner: vars, Tree: vars, Keywords: vars, Reduced: vars,
    Slots: lambda v: {name: getattr(v, name) for name in Slots.__slots__ if hasattr(v, name)},
    Numbers: lambda v: [list(v), vars(v)], Names: lambda v: [dict(v), vars(v)],
    functools.partial: lambda v: [v.func, v.args, v.keywords, vars(v)],
    collections.deque: lambda v: [v.maxlen, *v], Point: tuple,
    collections.OrderedDict: lambda v: list(v.items()), collections.defaultdict: lambda v: [v.default_factory, *v.items()],
}


def compare(a, b):
    """Raises AssertionError where they differ."""
    there, back, alive = {}, {}, []  # alive: so that no id is used twice
    todo = [("", a, b)]
    while todo:
        path, a, b = todo.pop()
        kind = type(a)
        assert kind is type(b), f"{path}: {kind} is {type(b)}"
        if kind in (float, complex):
            pack = lambda v: struct.pack("dd", complex(v).real, complex(v).imag)
            assert pack(a) == pack(b), f"{path}: {a} is {b}"
            continue
        if kind in (type(None), bool, int) or (kind in (str, bytes) and len(a) < 2) or a == () and kind is tuple:
            assert a == b, f"{path}: {a!r} is {b!r}"
            continue
        if kind is not int and not path.endswith("key"):
            known = id(a) in there
            same = there.setdefault(id(a), id(b)) == id(b) and back.setdefault(id(b), id(a)) == id(a)
            assert same, f"{path}: identity of {kind}"
            if known:
                continue
            alive.append((a, b))
        if kind in (list, tuple):
            assert len(a) == len(b), f"{path}: {len(a)} items are {len(b)}"
            todo.extend((f"{path}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b)))
        elif kind is dict:
            assert len(a) == len(b), f"{path}: {len(a)} items are {len(b)}"
            for (k, v), (l, w) in zip(a.items(), b.items()):
                todo.append((f"{path}.key", k, l))
                todo.append((f"{path}.{k!r}", v, w))
        elif kind in (set, frozenset):
            order = lambda v: (type(v).__name__, getattr(v, "tag", 0), sorted(map(repr, v)) if type(v) is frozenset else
                               "" if hasattr(v, "tag") else repr(v))
            assert len(a) == len(b), f"{path}: {len(a)} items are {len(b)}"
            todo.extend((f"{path}.item.key" if type(x) is str else f"{path}.item", x, y)
                        for x, y in zip(sorted(a, key=order), sorted(b, key=order)))
        elif isinstance(a, BaseException):
            todo.append((f"{path}.args", list(a.args), list(b.args)))
            todo.append((f"{path}.dict", dict(vars(a)), dict(vars(b))))
        elif kind in PARTS:
            parts = PARTS[kind](a), PARTS[kind](b)
            if kind in (Plain, Outer.Inner, Tree, Keywords, Reduced):
                parts = tuple(dict(p) for p in parts)
            alive.append(parts)
            todo.append((f"{path}.{kind.__name__}", *parts))
        else:
            assert a == b, f"{path}: {a!r} is {b!r}"


def main():
    what, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    wrong = skipped = 0
    for number, original in pickles(seed, count):
        if what == "write":
            sys.stdout.buffer.write(struct.pack("<I", len(original)) + original)
            continue
        (length,) = struct.unpack("<I", sys.stdin.buffer.read(4))
        received = sys.stdin.buffer.read(length)
        skipped += original == pickle.dumps(None)
        try:
            compare(pickle.loads(original), pickle.loads(received))
        except Exception as error:
            wrong += 1
            print(f"value {number}, protocol {number % 6}: {type(error).__name__}: {str(error)[:300]}")
    if what == "check":
        print(f"{count} values, {skipped} left out, {wrong} wrong")


main()
