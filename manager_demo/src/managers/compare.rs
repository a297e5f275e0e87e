//! Python's `==`, `hash` and `<`, and what they rest on: a value's type and truth.
//!
//! Differs: an object whose class Python must know to compare it is equal to itself only, but for a few classes of the
//!          standard library, whose parts are compared. So `Decimal('1.0')` is not `Decimal('1')`, and a `datetime`
//!          equals one of the same time zone only. What takes too many steps, such as a small message that refers to
//!          its own parts again and again, is a `RecursionError`; Python would take hours.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, One, ToPrimitive, Zero};

use super::exception::Exception;
use super::value::{Array, Global, Make, Object, Step, Value};

/// How deep containers may lie in each other. Python's limit is 1000 calls of any kind.
pub(super) const DEPTH: usize = 950;

/// How many values one comparison or hash may look at; a text counts as one more for every 64 bytes.
pub(super) const STEPS: usize = 1 << 26;

/// Below this many items, looking at each is faster than hashing all.
const FEW: usize = 8;

/// Classes that Python compares, and hashes, by their parts.
const PARTS: [(&str, &str); 10] = [
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("uuid", "UUID"),
];

/// Python's `==`; one that takes too long, or nests too deep, is false.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other).unwrap_or(false)
    }
}

impl Value {
    /// Python's `==`, exact for numbers of all types. What is the same object inside of a container is equal, even NaN.
    ///
    /// Errors: `RecursionError` past a depth of 950, or 2**26 steps.
    pub fn equals(&self, other: &Value) -> Result<bool, Exception> {
        let equal = Walk::new().equal(self, other);
        equal.map_err(|trouble| trouble.raise(IN_COMPARISON))
    }

    /// Python's `<`.
    ///
    /// Errors: `TypeError` where Python has no order, and as [`Value::equals`].
    pub fn less_than(&self, other: &Value) -> Result<bool, Exception> {
        let less = Walk::new().less(self, other);
        less.map_err(|trouble| trouble.raise(IN_COMPARISON))
    }

    /// Python's `bool(x)`.
    pub fn truth(&self) -> bool {
        match self.stored() {
            Value::None => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) => *number != 0,
            Value::Long(number) => !number.is_zero(),
            Value::Float(number) => *number != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Surrogates(bytes) | Value::Bytes(bytes) | Value::ByteArray(bytes) => {
                !bytes.is_empty()
            }
            Value::Tuple(items)
            | Value::List(items)
            | Value::Set(items)
            | Value::FrozenSet(items) => !items.is_empty(),
            Value::Dict(pairs) => !pairs.is_empty(),
            Value::Array(array) => !array.bytes.is_empty(),
            Value::Object(_) => match (&*self.plain(), Range::of(self)) {
                (Value::List(items), _) => !items.is_empty(),
                (_, Some(range)) => !range.len.is_zero(),
                _ => true,
            },
            Value::Global(_) | Value::Proxy(_) | Value::Knot(..) | Value::Inner(_) => true,
        }
    }

    /// The name of its type as CPython's messages have it: that of a class from C with its module, such as
    /// `array.array`. Whether a name is a class or a function can only be guessed, by its first letter.
    pub fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.stored() {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Long(_) => "int",
            Value::Float(_) => "float",
            Value::Complex(..) => "complex",
            Value::Str(_) | Value::Surrogates(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::ByteArray(_) => "bytearray",
            Value::Tuple(_) => "tuple",
            Value::List(_) => "list",
            Value::Dict(_) => "dict",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Array(_) => "array.array",
            Value::Global(global) => match global.kind() {
                Kind::Class => "type",
                Kind::Builtin => "builtin_function_or_method",
                Kind::Function => "function",
            },
            Value::Proxy(proxy) if proxy.class.name == "AutoProxy" => {
                return Cow::Owned(format!("AutoProxy[{}]", proxy.typeid));
            }
            Value::Proxy(proxy) => return Cow::Owned(proxy.class.last().to_owned()),
            Value::Object(_) => return self.class_name(),
            Value::Knot(..) | Value::Inner(_) => "object",
        })
    }

    fn class_name(&self) -> Cow<'static, str> {
        let Some(class) = self.class() else {
            return Cow::Borrowed("object");
        };
        Cow::Owned(match (&*class.module, &*class.name) {
            ("datetime", name) => format!("datetime.{name}"),
            ("decimal", "Decimal") => class.to_string(),
            ("collections", "deque" | "defaultdict" | "OrderedDict") => class.to_string(),
            ("functools", "partial") => class.to_string(),
            _ => class.last().to_owned(),
        })
    }

    /// The class of an object, as far as the way it is made says it.
    pub(super) fn class(&self) -> Option<Arc<Global>> {
        let Value::Object(object) = self.stored() else {
            return None;
        };
        let global = |value: &Value| match self.part(value).stored() {
            Value::Global(global) => Some(global.clone()),
            _ => None,
        };
        let (callable, arguments) = match &object.make {
            Make::New { class, .. } => return global(class),
            Make::Call {
                callable,
                arguments,
            } => (global(callable)?, arguments),
        };
        let made = |module: &'static str, name: &'static str| {
            let (module, name) = (Cow::Borrowed(module), Cow::Borrowed(name));
            Some(Arc::new(Global { module, name }))
        };
        match (&*callable.module, &*callable.name) {
            // How pickle's protocols 0 and 1 make what has no `__reduce__` of its own.
            ("copyreg" | "copy_reg", "_reconstructor" | "__newobj__" | "__newobj_ex__") => {
                let arguments = self.part(arguments);
                let Value::Tuple(items) = arguments.stored() else {
                    return None;
                };
                match arguments.part(items.first()?).stored() {
                    Value::Global(class) => Some(class.clone()),
                    _ => None,
                }
            }
            ("multiprocessing.reduction", "_rebuild_partial") => made("functools", "partial"),
            ("builtins", "reversed") => made("builtins", "list_reverseiterator"),
            _ => Some(callable),
        }
    }

    /// The value, or the list that it is made as: what a view of a dict becomes when it is sent.
    pub(super) fn plain(&self) -> Cow<'_, Value> {
        if let (Value::Object(_), Some(arguments)) =
            (self.stored(), self.called("builtins", "list"))
        {
            return match &*arguments {
                [] => Cow::Owned(Value::list([])),
                [one] => match &*one.node() {
                    Value::List(items) | Value::Tuple(items) => {
                        Cow::Owned(Value::List(items.clone()))
                    }
                    _ => Cow::Borrowed(self),
                },
                _ => Cow::Borrowed(self),
            };
        }
        Cow::Borrowed(self)
    }
}

/// What a name is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Class,
    /// A function that is not written in Python.
    Builtin,
    Function,
}

/// Names of `builtins` that are functions; all others are classes.
const FUNCTIONS: [&str; 41] = [
    "__build_class__",
    "__import__",
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "breakpoint",
    "callable",
    "chr",
    "compile",
    "delattr",
    "dir",
    "divmod",
    "eval",
    "exec",
    "format",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "hex",
    "id",
    "input",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "locals",
    "max",
    "min",
    "next",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "repr",
    "round",
];

impl Global {
    pub(super) fn kind(&self) -> Kind {
        let upper = self.last().starts_with(|first: char| first.is_uppercase());
        match &*self.module {
            "builtins" => match &*self.name {
                "setattr" | "sorted" | "sum" | "vars" => Kind::Builtin,
                name if FUNCTIONS.contains(&name) => Kind::Builtin,
                _ => Kind::Class,
            },
            "array" | "datetime" => Kind::Class,
            "math" | "cmath" | "time" | "posix" | "_operator" if !upper => Kind::Builtin,
            "collections" | "functools"
                if ["deque", "defaultdict", "partial"].contains(&&*self.name) =>
            {
                Kind::Class
            }
            _ if upper => Kind::Class,
            _ => Kind::Function,
        }
    }

    /// The name without the class that it lies in.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

const IN_COMPARISON: &str = "maximum recursion depth exceeded in comparison";

/// A value that can be a key of a dict, with its hash. Equal keys are equal in Python: `1`, `1.0` and `True` are one key.
///
/// A NaN is equal to a clone of its own key only, as in Python to the same object. The hash is secret, so that nobody
/// can choose many keys that collide. A clone costs no more than that of the [`Value`], so looking one up needs no
/// borrowed form.
#[derive(Clone)]
pub struct Key {
    value: Value,
    hash: u64,
}

impl Key {
    /// Errors: `TypeError` for what Python does not hash, such as a list, also inside of a tuple; `RecursionError` past a
    /// depth of 950, or 2**26 steps.
    pub fn new(value: Value) -> Result<Self, Exception> {
        let mut hasher = SECRET.build_hasher();
        Walk::new()
            .feed(&value, &mut hasher)
            .map_err(|trouble| trouble.raise("maximum recursion depth exceeded"))?;
        let hash = hasher.finish();
        Ok(Key { value, hash })
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    pub fn into_value(self) -> Value {
        self.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        // The hash of a NaN is never given twice.
        let nan = || match self.value {
            Value::Float(number) => number.is_nan(),
            Value::Complex(re, im) => re.is_nan() || im.is_nan(),
            _ => false,
        };
        let same = || Walk::new().same(&self.value, &other.value);
        self.hash == other.hash && (nan() || same().unwrap_or(false))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Why a walk through a value came to no result.
enum Trouble {
    /// It goes too deep, or takes too long.
    Deep,
    Raised(Box<Exception>),
}

impl Trouble {
    fn raise(self, deep: &str) -> Exception {
        match self {
            Trouble::Deep => Exception::recursion_error(deep),
            Trouble::Raised(exception) => *exception,
        }
    }
}

impl From<Exception> for Trouble {
    fn from(exception: Exception) -> Self {
        Trouble::Raised(Box::new(exception))
    }
}

/// A walk through one value or two.
struct Walk {
    depth: usize,
    steps: usize,
}

impl Walk {
    fn new() -> Self {
        Walk {
            depth: DEPTH,
            steps: STEPS,
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.steps = self
            .steps
            .checked_sub(1 + bytes / 64)
            .ok_or(Trouble::Deep)?;
        Ok(())
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.depth = self.depth.checked_sub(1).ok_or(Trouble::Deep)?;
        let result = f(self);
        self.depth += 1;
        result
    }

    /// The same object, or equal: how containers compare what they contain.
    fn same(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        Ok(is(a, b) || self.equal(a, b)?)
    }

    fn equal(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        self.spend(0)?;
        match (a, b) {
            (Value::None, Value::None) => Ok(true),
            (Value::Int(a), Value::Int(b)) => Ok(a == b),
            (Value::Str(a), Value::Str(b)) => self.bytes(a.as_bytes(), b.as_bytes()),
            _ => match (number(a), number(b)) {
                (Some((a, i)), Some((b, j))) => {
                    self.spend(a.bytes().min(b.bytes()))?;
                    Ok(i == j && a.order(b) == Some(Ordering::Equal))
                }
                (None, None) => self.deeper(|walk| walk.structures(a, b)),
                _ => Ok(false),
            },
        }
    }

    fn bytes(&mut self, a: &[u8], b: &[u8]) -> Result<bool, Trouble> {
        if a.len() != b.len() {
            return Ok(false);
        }
        self.spend(a.len())?;
        Ok(a == b)
    }

    fn structures(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        match (a.stored(), b.stored()) {
            (Value::Array(x), Value::Array(y)) => self.arrays(x, y),
            _ if is(a, b) => Ok(true),
            (Value::Tuple(x), Value::Tuple(y)) | (Value::List(x), Value::List(y)) => {
                Ok(x.len() == y.len() && self.common(a, x, b, y)? == x.len())
            }
            (Value::Dict(x), Value::Dict(y)) => self.dicts(a, x, b, y),
            (Value::Set(x) | Value::FrozenSet(x), Value::Set(y) | Value::FrozenSet(y)) => {
                Ok(x.len() == y.len() && self.subset(a, x, b, y)?)
            }
            (Value::Bytes(x) | Value::ByteArray(x), Value::Bytes(y) | Value::ByteArray(y))
            | (Value::Surrogates(x), Value::Surrogates(y)) => self.bytes(x, y),
            (Value::Global(x), Value::Global(y)) => Ok(x == y),
            (Value::Object(_), _) | (_, Value::Object(_)) => self.objects(a, b),
            _ => Ok(false),
        }
    }

    /// How many items at the beginning are the same.
    fn common(&mut self, a: &Value, x: &[Value], b: &Value, y: &[Value]) -> Result<usize, Trouble> {
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            if !self.same(&a.part(x), &b.part(y))? {
                return Ok(index);
            }
        }
        Ok(x.len().min(y.len()))
    }

    #[inline(never)]
    fn arrays(&mut self, a: &Array, b: &Array) -> Result<bool, Trouble> {
        if a.typecode == b.typecode && !matches!(a.typecode, 'f' | 'd') {
            return self.bytes(&a.bytes, &b.bytes);
        }
        let length = a.len()?;
        Ok(length == b.len()? && self.arrays_common(a, b)? == length)
    }

    fn arrays_common(&mut self, a: &Array, b: &Array) -> Result<usize, Trouble> {
        let length = a.len()?.min(b.len()?);
        for index in 0..length {
            if !self.equal(&a.item(index)?, &b.item(index)?)? {
                return Ok(index);
            }
        }
        Ok(length)
    }

    #[inline(never)]
    fn dicts(
        &mut self,
        a: &Value,
        x: &[(Value, Value)],
        b: &Value,
        y: &[(Value, Value)],
    ) -> Result<bool, Trouble> {
        if x.len() != y.len() {
            return Ok(false);
        }
        let index = Index::new(self, y.iter().map(|(key, _)| b.part(key)))?;
        for (key, value) in x {
            match index.find(self, &a.part(key))? {
                Some(at) if self.same(&a.part(value), &b.part(&y[at].1))? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether each of `x` is in `y`.
    #[inline(never)]
    fn subset(&mut self, a: &Value, x: &[Value], b: &Value, y: &[Value]) -> Result<bool, Trouble> {
        let index = Index::new(self, y.iter().map(|item| b.part(item)))?;
        for item in x {
            if index.find(self, &a.part(item))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[inline(never)]
    fn objects(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        let (x, y) = (a.plain(), b.plain());
        if let (Value::List(_), Value::List(_)) = (x.stored(), y.stored()) {
            return self.structures(&x, &y);
        }
        if let (Some(x), Some(y)) = (Range::of(a), Range::of(b)) {
            return Ok(x.canonical() == y.canonical());
        }
        if let (Some(x), Some(y)) = (a.called("builtins", "slice"), b.called("builtins", "slice")) {
            return Ok(x.len() == y.len() && self.common(a, &x, b, &y)? == x.len());
        }
        match (parts(a), parts(b)) {
            (Some((class, x)), Some((other, y))) if class == other && x.len() == y.len() => {
                Ok(self.common(a, &x, b, &y)? == x.len())
            }
            _ => Ok(false),
        }
    }

    fn less(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        self.spend(0)?;
        match (real(a), real(b)) {
            (Some(a), Some(b)) => Ok(a.order(b) == Some(Ordering::Less)),
            _ => self.deeper(|walk| walk.less_structures(a, b)),
        }
    }

    fn less_structures(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        // The order of texts by code points is that of their bytes, for lone surrogates too.
        if let (Some(x), Some(y)) = (text(a), text(b)) {
            self.spend(x.len().min(y.len()))?;
            return Ok(x < y);
        }
        match (a.stored(), b.stored()) {
            (Value::Bytes(x) | Value::ByteArray(x), Value::Bytes(y) | Value::ByteArray(y)) => {
                self.spend(x.len().min(y.len()))?;
                Ok(x < y)
            }
            (Value::Tuple(x), Value::Tuple(y)) | (Value::List(x), Value::List(y)) => {
                self.less_items(a, x, b, y)
            }
            (Value::Set(x) | Value::FrozenSet(x), Value::Set(y) | Value::FrozenSet(y)) => {
                Ok(x.len() < y.len() && self.subset(a, x, b, y)?)
            }
            (Value::Array(x), Value::Array(y)) => {
                let index = self.arrays_common(x, y)?;
                if index == x.len()?.min(y.len()?) {
                    return Ok(x.len()? < y.len()?);
                }
                self.less(&x.item(index)?, &y.item(index)?)
            }
            (Value::Object(_), _) | (_, Value::Object(_)) => self.less_objects(a, b),
            _ => Err(no_order(a, b)),
        }
    }

    fn less_items(
        &mut self,
        a: &Value,
        x: &[Value],
        b: &Value,
        y: &[Value],
    ) -> Result<bool, Trouble> {
        let index = self.common(a, x, b, y)?;
        match (x.get(index), y.get(index)) {
            (Some(x), Some(y)) => self.less(&a.part(x), &b.part(y)),
            _ => Ok(x.len() < y.len()),
        }
    }

    #[inline(never)]
    fn less_objects(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        let (x, y) = (a.plain(), b.plain());
        if let (Value::List(_), Value::List(_)) = (x.stored(), y.stored()) {
            return self.less_structures(&x, &y);
        }
        match (a.called("builtins", "slice"), b.called("builtins", "slice")) {
            (Some(x), Some(y)) => self.less_items(a, &x, b, &y),
            _ => Err(no_order(a, b)),
        }
    }

    /// Feeds a form of the value that is the same for all that are equal, and for few others.
    fn feed(&mut self, value: &Value, to: &mut DefaultHasher) -> Result<(), Trouble> {
        self.spend(0)?;
        match value {
            Value::Str(text) => {
                self.spend(text.len())?;
                to.write_u8(b's');
                text.hash(to);
            }
            Value::Int(number) => feed_int(*number, to),
            Value::None => to.write_u8(b'N'),
            _ => match number(value) {
                Some((re, im)) => {
                    self.spend(re.bytes())?;
                    feed_number(re, im, to);
                }
                None => return self.deeper(|walk| walk.feed_structure(value, to)),
            },
        }
        Ok(())
    }

    fn feed_structure(&mut self, value: &Value, to: &mut DefaultHasher) -> Result<(), Trouble> {
        match value.stored() {
            Value::Tuple(items) => {
                to.write_u8(b't');
                to.write_usize(items.len());
                for item in items.iter() {
                    self.feed(&value.part(item), to)?;
                }
            }
            Value::Bytes(bytes) => {
                self.spend(bytes.len())?;
                to.write_u8(b'b');
                bytes.hash(to);
            }
            Value::Surrogates(bytes) => {
                self.spend(bytes.len())?;
                to.write_u8(b'S');
                bytes.hash(to);
            }
            Value::FrozenSet(items) => {
                to.write_u8(b'f');
                self.feed_unordered(items.iter().map(|item| [value.part(item)]), to)?;
            }
            Value::Global(global) => {
                to.write_u8(b'g');
                global.hash(to);
            }
            Value::Object(_) => self.feed_object(value, to)?,
            Value::Proxy(_) => feed_identity(value, to),
            _ => return Err(unhashable(value)),
        }
        Ok(())
    }

    /// The sum of the hashes, which are secret, does not depend on the order.
    fn feed_unordered<'a, const N: usize>(
        &mut self,
        items: impl ExactSizeIterator<Item = [Cow<'a, Value>; N]>,
        to: &mut DefaultHasher,
    ) -> Result<(), Trouble> {
        to.write_usize(items.len());
        let mut sum = 0_u64;
        for parts in items {
            let mut hasher = SECRET.build_hasher();
            for part in parts {
                self.feed_part(&part, &mut hasher)?;
            }
            sum = sum.wrapping_add(hasher.finish());
        }
        to.write_u64(sum);
        Ok(())
    }

    #[inline(never)]
    fn feed_object(&mut self, value: &Value, to: &mut DefaultHasher) -> Result<(), Trouble> {
        if let Some(range) = Range::of(value) {
            to.write_u8(b'r');
            range.canonical().hash(to);
        } else if let Some((class, parts)) = parts(value) {
            to.write_u8(b'o');
            class.hash(to);
            to.write_usize(parts.len());
            for part in &parts {
                self.feed_part(part, to)?;
            }
        } else if value.called("builtins", "slice").is_some()
            || matches!(&*value.plain(), Value::List(_))
            || matches!(&*value.class_name(), name if UNHASHABLE.contains(&name))
        {
            return Err(unhashable(value));
        } else {
            feed_identity(value, to);
        }
        Ok(())
    }

    /// As [`Walk::feed`]; a dict may be the state of an object that is hashed by its parts.
    fn feed_part(&mut self, value: &Value, to: &mut DefaultHasher) -> Result<(), Trouble> {
        match value.stored() {
            Value::Dict(pairs) => self.deeper(|walk| {
                let pairs = pairs.iter().map(|(k, v)| [value.part(k), value.part(v)]);
                walk.feed_unordered(pairs, to)
            }),
            _ => self.feed(value, to),
        }
    }
}

/// Classes from C that have no hash, besides the built-in ones.
const UNHASHABLE: [&str; 3] = [
    "collections.deque",
    "collections.defaultdict",
    "collections.OrderedDict",
];

fn is(a: &Value, b: &Value) -> bool {
    // Empty slices may lie at one place, whatever they are slices of.
    std::mem::discriminant(a) == std::mem::discriminant(b) && a.id().is_some() && a.id() == b.id()
}

fn no_order(a: &Value, b: &Value) -> Trouble {
    let (a, b) = (a.type_name(), b.type_name());
    let text = format!("'<' not supported between instances of '{a}' and '{b}'");
    Exception::type_error(text).into()
}

fn unhashable(value: &Value) -> Trouble {
    let name = match &*value.plain() {
        Value::List(_) => Cow::Borrowed("list"),
        value => value.type_name(),
    };
    Exception::type_error(format!("unhashable type: '{name}'")).into()
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Str(text) => Some(text.as_bytes()),
        Value::Surrogates(bytes) => Some(bytes),
        _ => None,
    }
}

/// The class and parts of an object that Python compares by them.
fn parts(value: &Value) -> Option<(Arc<Global>, Vec<Value>)> {
    let Value::Object(object) = value.stored() else {
        return None;
    };
    let Object { make, steps } = &**object;
    let class = value.class()?;
    if !PARTS.contains(&(&*class.module, &*class.name)) {
        return None;
    }
    let (Make::Call { arguments, .. } | Make::New { arguments, .. }) = make;
    let mut parts = vec![value.part(arguments).into_owned()];
    for step in steps {
        match step {
            Step::State(state) => parts.push(value.part(state).into_owned()),
            _ => return None,
        }
    }
    Some((class, parts))
}

/// The items of a dict or set, where they can be found.
struct Index<'a> {
    few: Vec<Cow<'a, Value>>,
    many: HashMap<Key, usize>,
}

impl<'a> Index<'a> {
    fn new(
        walk: &mut Walk,
        items: impl ExactSizeIterator<Item = Cow<'a, Value>>,
    ) -> Result<Self, Trouble> {
        let (mut few, mut many) = (vec![], HashMap::new());
        if items.len() <= FEW {
            few.extend(items);
        } else {
            for (index, item) in items.enumerate() {
                many.insert(walk.key(&item)?, index);
            }
        }
        Ok(Index { few, many })
    }

    fn find(&self, walk: &mut Walk, item: &Value) -> Result<Option<usize>, Trouble> {
        for (index, other) in self.few.iter().enumerate() {
            if walk.same(item, other)? {
                return Ok(Some(index));
            }
        }
        if self.many.is_empty() {
            return Ok(None);
        }
        Ok(self.many.get(&walk.key(item)?).copied())
    }
}

impl Walk {
    fn key(&mut self, value: &Value) -> Result<Key, Trouble> {
        let mut hasher = SECRET.build_hasher();
        self.feed(value, &mut hasher)?;
        Ok(Key {
            value: value.clone(),
            hash: hasher.finish(),
        })
    }
}

/// A real number.
#[derive(Clone, Copy)]
enum Number<'a> {
    Int(i64),
    Long(&'a BigInt),
    Float(f64),
}

/// A number that has an order.
fn real(value: &Value) -> Option<Number<'_>> {
    match value {
        Value::Bool(flag) => Some(Number::Int(i64::from(*flag))),
        Value::Int(number) => Some(Number::Int(*number)),
        Value::Long(number) => Some(Number::Long(number)),
        Value::Float(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

/// A number, as its real and imaginary part.
fn number(value: &Value) -> Option<(Number<'_>, f64)> {
    match value {
        Value::Complex(re, im) => Some((Number::Float(*re), *im)),
        value => Some((real(value)?, 0.0)),
    }
}

/// 2**63: the first that is no `i64`.
const PAST: f64 = 9_223_372_036_854_775_808.0;

impl Number<'_> {
    fn bytes(self) -> usize {
        match self {
            Number::Long(number) => (number.bits() / 8) as usize,
            _ => 0,
        }
    }

    /// The order, exact; `None` with a NaN.
    fn order(self, other: Number<'_>) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
            (Number::Long(a), Number::Long(b)) => Some(a.cmp(b)),
            (Number::Int(a), Number::Long(b)) => Some(BigInt::from(a).cmp(b)),
            (Number::Int(a), Number::Float(b)) => {
                if b.is_nan() {
                    None
                } else if b >= PAST {
                    Some(Ordering::Less)
                } else if b < -PAST {
                    Some(Ordering::Greater)
                } else {
                    let whole = a.cmp(&(b as i64));
                    Some(whole.then(0.0.partial_cmp(&b.fract())?))
                }
            }
            (Number::Long(a), Number::Float(b)) => match BigInt::from_f64(b) {
                // The part that is cut off decides nothing: no such number is an `i64`.
                Some(b) => Some(a.cmp(&b)),
                None => 0.0.partial_cmp(&b),
            },
            (a, b) => b.order(a).map(Ordering::reverse),
        }
    }
}

fn feed_int(number: i64, to: &mut DefaultHasher) {
    to.write_u8(b'i');
    to.write_i64(number);
}

fn feed_big(number: &BigInt, to: &mut DefaultHasher) {
    match number.to_i64() {
        Some(number) => feed_int(number, to),
        None => {
            to.write_u8(b'I');
            number.hash(to);
        }
    }
}

fn feed_number(re: Number<'_>, im: f64, to: &mut DefaultHasher) {
    static NANS: AtomicU64 = AtomicU64::new(0);
    if im != 0.0 {
        to.write_u8(b'j');
        // A NaN is not zero, and gets here.
        if im.is_nan() {
            to.write_u64(NANS.fetch_add(1, Relaxed));
        }
        to.write_u64(im.to_bits());
    }
    match re {
        Number::Int(number) => feed_int(number, to),
        Number::Long(number) => feed_big(number, to),
        Number::Float(number) if number.is_nan() => {
            to.write_u8(b'n');
            to.write_u64(NANS.fetch_add(1, Relaxed));
        }
        Number::Float(number) if number.fract() == 0.0 => {
            if (-PAST..PAST).contains(&number) {
                feed_int(number as i64, to);
            } else if let Some(number) = BigInt::from_f64(number) {
                feed_big(&number, to);
            }
        }
        Number::Float(number) => {
            to.write_u8(b'd');
            to.write_u64(number.to_bits());
        }
    }
}

fn feed_identity(value: &Value, to: &mut DefaultHasher) {
    to.write_u8(b'@');
    to.write_usize(value.id().unwrap_or_default());
}

/// A `range`.
pub(super) struct Range {
    pub start: BigInt,
    pub step: BigInt,
    pub len: BigInt,
}

impl Range {
    /// `None` for anything else, and for what Python could not make.
    pub fn of(value: &Value) -> Option<Self> {
        let arguments = value.called("builtins", "range")?;
        let number = |value: &Value| match value {
            Value::Long(number) => Some((**number).clone()),
            value => value.as_int().map(BigInt::from),
        };
        let (start, stop, step) = match &*arguments {
            [stop] => (BigInt::zero(), number(stop)?, BigInt::one()),
            [start, stop] => (number(start)?, number(stop)?, BigInt::one()),
            [start, stop, step] => (number(start)?, number(stop)?, number(step)?),
            _ => return None,
        };
        let way = match step.sign() {
            Sign::NoSign => return None,
            Sign::Plus => &stop - &start,
            Sign::Minus => &start - &stop,
        };
        let len = match way.sign() {
            Sign::Plus => (way - 1_u8) / BigInt::from(step.magnitude().clone()) + 1_u8,
            _ => BigInt::zero(),
        };
        Some(Range { start, step, len })
    }

    /// The same for all ranges of the same numbers.
    fn canonical(self) -> (BigInt, Option<BigInt>, Option<BigInt>) {
        let many = self.len > BigInt::one();
        let start = (!self.len.is_zero()).then_some(self.start);
        (self.len, start, many.then_some(self.step))
    }
}
