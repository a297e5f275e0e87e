//! Python's `==`, `hash` and `<`, and the type and truth of a value.
//!
//! Two objects of unknown classes are equal if their pickles are equal. That is correct for members of enums, named tuples
//! and dataclasses, but `Decimal('1.0')` differs from `Decimal('1')`, a member of an `IntEnum` from its `int`, an
//! `OrderedDict` from a `dict`, and a `datetime` from the same moment in another time zone.
//!
//! A comparison or hash that takes too many steps raises a `RecursionError`. A small pickle that repeatedly refers to its
//! own parts would keep Python busy for hours.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, One, ToPrimitive, Zero};

use crate::exception::Exception;
use crate::value::{Array, Global, Make, Object, Step, Value};

/// The maximum nesting depth of lists and tuples; a dict, set or object counts as four. Python limits all calls to 1000.
pub(crate) const DEPTH: usize = 950;

/// The number of values that one call may visit to compare or hash them. A text counts as one more for every 64 bytes.
pub(crate) const STEPS: usize = 1 << 24;

/// The number of steps that each comparison or hash adds to the budget, so that a long list of small items can be sorted.
const EACH: usize = 16;

/// The cost of an object in addition to its parts, in bytes: classifying it takes time.
const OBJECT: usize = 16 * 64;

/// Returns the number of levels of [`DEPTH`] that a value counts as. Values that need more stack than a list count more, so
/// that a thread's usual 2 MiB are enough even in an unoptimized program.
pub(crate) fn levels(value: &Value) -> usize {
    match value.stored() {
        Value::Object(_) | Value::Dict(_) | Value::Set(_) | Value::FrozenSet(_) => 4,
        _ => 1,
    }
}

/// Up to this many items, pairwise comparison is faster than hashing.
const FEW: usize = 8;

/// Modules whose objects Python compares by identity, so objects that were pickled separately are never equal.
const BY_IDENTITY: [&str; 6] = [
    "builtins",
    "functools",
    "queue",
    "_queue",
    "threading",
    "weakref",
];

/// Python's `==`. A comparison that takes too long or goes too deep is false; [`Value::equals`] reports it.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        Walk::new().equal(self, other).unwrap_or(false)
    }
}

impl Value {
    /// Returns Python's `self == other`, exact for numbers of all types.
    ///
    /// Inside containers an object equals itself, even NaN, as in Python.
    ///
    /// # Errors
    ///
    /// `RecursionError` beyond a depth of 950 or 2**24 steps.
    pub fn equals(&self, other: &Value) -> Result<bool, Exception> {
        Walk::new().equals(self, other)
    }

    /// Returns Python's `self < other`.
    ///
    /// # Errors
    ///
    /// `TypeError` for types that Python does not order, and as [`Value::equals`].
    pub fn less_than(&self, other: &Value) -> Result<bool, Exception> {
        Walk::new().less_than(self, other)
    }

    /// Returns Python's `bool(self)`.
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

    /// Returns the name of the value's type as CPython's messages show it, such as `int` or `array.array`.
    ///
    /// A [`Value::Global`] does not say whether it is a class or a function. Names outside the standard library count as
    /// classes if they begin with a capital letter, as PEP 8 recommends.
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

    /// Returns the class of an object, if the call that creates it reveals it.
    pub(crate) fn class(&self) -> Option<Arc<Global>> {
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
            // Pickle's protocols 0 and 1 create objects without their own `__reduce__` this way.
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

    /// Returns the list if the value is a call of `list` with a list or tuple, which is how `multiprocessing` pickles a view
    /// of a dict; otherwise the value itself.
    pub fn plain(&self) -> Cow<'_, Value> {
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

/// The kind of object that a name refers to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Class,
    /// A function written in C.
    Builtin,
    Function,
}

/// The functions of `builtins`; all other names there are classes.
const FUNCTIONS: &str = "abs aiter all anext any ascii bin breakpoint callable chr compile delattr dir divmod eval \
                         exec format getattr globals hasattr hash hex id input isinstance issubclass iter len \
                         locals max min next oct open ord pow print repr round setattr sorted sum vars \
                         __build_class__ __import__";

impl Global {
    pub(crate) fn kind(&self) -> Kind {
        let upper = self.last().starts_with(|first: char| first.is_uppercase());
        match &*self.module {
            "builtins" if FUNCTIONS.split(' ').any(|name| name == self.name) => Kind::Builtin,
            "builtins" => Kind::Class,
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

    /// Returns the name without the classes that contain it.
    pub(crate) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

const IN_COMPARISON: &str = "maximum recursion depth exceeded in comparison";

/// A value with its hash, for use as a key of a map.
///
/// Keys are equal if Python's dicts treat them as the same key: `1`, `1.0` and `True` are one key. A NaN equals only clones
/// of its own key. The hash depends on a secret of the process, so a peer cannot choose keys that collide. Cloning a key is
/// as cheap as cloning its [`Value`].
///
/// ```
/// use std::collections::HashMap;
///
/// use pickle_value::{Key, Value};
///
/// let mut map = HashMap::new();
/// map.insert(Key::new(Value::from(1)).unwrap(), "one");
/// assert_eq!(map.get(&Key::new(Value::from(1.0)).unwrap()), Some(&"one"));
/// assert!(Key::new(Value::list([])).is_err());
/// ```
#[derive(Clone)]
pub struct Key {
    value: Value,
    hash: u64,
    /// The number of steps that the hash took.
    steps: usize,
}

impl Key {
    /// Hashes the value.
    ///
    /// # Errors
    ///
    /// `TypeError` for values that Python does not hash, such as a list or a tuple with a list in it; `RecursionError`
    /// beyond a depth of 950 or 2**24 steps.
    pub fn new(value: Value) -> Result<Self, Exception> {
        Walk::new().hash(&value)
    }

    /// Returns the value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the value.
    pub fn into_value(self) -> Value {
        self.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        // No two NaNs have the same hash.
        let nan = || match self.value {
            Value::Float(number) => number.is_nan(),
            Value::Complex(re, im) => re.is_nan() || im.is_nan(),
            _ => false,
        };
        // A map does not count steps, and sets in sets can take many more of them to compare than to hash.
        let steps = 4096 + 32 * self.steps.min(other.steps);
        let depth = DEPTH;
        let same = || Walk { depth, steps }.same(&self.value, &other.value);
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

/// The reason why a walk through a value failed.
enum Trouble {
    /// The value is nested too deeply, or the walk takes too many steps.
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

/// A budget of steps that several comparisons and hashes share, such as those of one `sort`.
///
/// Do not use it again after an error.
///
/// ```
/// use pickle_value::{Value, Walk};
///
/// let mut walk = Walk::new();
/// assert!(walk.equals(&1.into(), &true.into()).unwrap());
/// assert!(walk.less_than(&"a".into(), &"b".into()).unwrap());
/// ```
#[derive(Debug)]
pub struct Walk {
    depth: usize,
    steps: usize,
}

impl Default for Walk {
    fn default() -> Self {
        Walk::new()
    }
}

impl Walk {
    /// Returns a budget of 2**24 steps, to which each comparison and hash adds a few.
    pub fn new() -> Self {
        Walk {
            depth: DEPTH,
            steps: STEPS,
        }
    }

    /// Compares as [`Value::equals`] does.
    ///
    /// # Errors
    ///
    /// As [`Value::equals`], when the budget is spent.
    pub fn equals(&mut self, a: &Value, b: &Value) -> Result<bool, Exception> {
        self.steps += EACH;
        let equal = self.equal(a, b);
        equal.map_err(|trouble| trouble.raise(IN_COMPARISON))
    }

    /// Compares as [`Value::less_than`] does.
    ///
    /// # Errors
    ///
    /// As [`Value::less_than`], when the budget is spent.
    pub fn less_than(&mut self, a: &Value, b: &Value) -> Result<bool, Exception> {
        self.steps += EACH;
        let less = self.less(a, b);
        less.map_err(|trouble| trouble.raise(IN_COMPARISON))
    }

    /// Hashes as [`Key::new`] does.
    ///
    /// # Errors
    ///
    /// As [`Key::new`], when the budget is spent.
    pub fn hash(&mut self, value: &Value) -> Result<Key, Exception> {
        self.steps += EACH;
        let key = self.key(value);
        key.map_err(|trouble| trouble.raise("maximum recursion depth exceeded"))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.steps = self
            .steps
            .checked_sub(1 + bytes / 64)
            .ok_or(Trouble::Deep)?;
        Ok(())
    }

    /// Descends one level into the value, and returns the cost; add it to `depth` to return. This is not a closure, because
    /// closures need more stack.
    fn down(&mut self, value: &Value) -> Result<usize, Trouble> {
        let levels = levels(value);
        self.depth = self.depth.checked_sub(levels).ok_or(Trouble::Deep)?;
        Ok(levels)
    }

    /// Returns whether two items of containers are the same object or equal.
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
                (None, None) => {
                    let levels = self.down(a)?;
                    let equal = self.structures(a, b);
                    self.depth += levels;
                    equal
                }
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
            // A bytearray compares itself with any object that exposes a buffer.
            (Value::ByteArray(x), Value::Array(array))
            | (Value::Array(array), Value::ByteArray(x)) => self.bytes(x, &array.bytes),
            (Value::Global(x), Value::Global(y)) => {
                self.spend(x.module.len() + x.name.len())?;
                Ok(x == y)
            }
            (Value::Object(_), _) | (_, Value::Object(_)) => self.objects(a, b),
            _ => Ok(false),
        }
    }

    /// Returns the length of the common prefix.
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

    #[inline(never)]
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

    /// Returns whether every item of `x` is in `y`.
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
        self.spend(OBJECT + weight(a) + weight(b))?;
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
            (Some(a), Some(b)) => {
                self.spend(a.bytes().min(b.bytes()))?;
                Ok(a.order(b) == Some(Ordering::Less))
            }
            _ => {
                let levels = self.down(a)?;
                let less = self.less_structures(a, b);
                self.depth += levels;
                less
            }
        }
    }

    fn less_structures(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        // Ordering texts by code points is the same as ordering their bytes, also for lone surrogates.
        if let (Some(x), Some(y)) = (a.text_bytes(), b.text_bytes()) {
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
            (Value::ByteArray(x), Value::Array(y)) => {
                self.spend(x.len().min(y.bytes.len()))?;
                Ok(**x < *y.bytes)
            }
            (Value::Array(x), Value::ByteArray(y)) => {
                self.spend(x.bytes.len().min(y.len()))?;
                Ok(*x.bytes < **y)
            }
            (Value::Array(x), Value::Array(y)) => self.less_arrays(x, y),
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
    fn less_arrays(&mut self, a: &Array, b: &Array) -> Result<bool, Trouble> {
        let index = self.arrays_common(a, b)?;
        if index == a.len()?.min(b.len()?) {
            return Ok(a.len()? < b.len()?);
        }
        self.less(&a.item(index)?, &b.item(index)?)
    }

    #[inline(never)]
    fn less_objects(&mut self, a: &Value, b: &Value) -> Result<bool, Trouble> {
        self.spend(OBJECT + weight(a) + weight(b))?;
        let (x, y) = (a.plain(), b.plain());
        if let (Value::List(_), Value::List(_)) = (x.stored(), y.stored()) {
            return self.less_structures(&x, &y);
        }
        match (a.called("builtins", "slice"), b.called("builtins", "slice")) {
            (Some(x), Some(y)) => self.less_items(a, &x, b, &y),
            _ => Err(no_order(a, b)),
        }
    }

    /// Hashes a form of the value that is the same for equal values and rarely for others.
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
                None => {
                    let levels = self.down(value)?;
                    self.feed_structure(value, to)?;
                    self.depth += levels;
                }
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
                self.spend(global.module.len() + global.name.len())?;
                to.write_u8(b'g');
                global.hash(to);
            }
            Value::Object(_) => self.feed_object(value, to)?,
            Value::Proxy(_) => feed_identity(value, to),
            _ => return Err(unhashable(value)),
        }
        Ok(())
    }

    /// Hashes the sum of the items' hashes, which does not depend on their order.
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
        self.spend(OBJECT + weight(value))?;
        if let Some(range) = Range::of(value) {
            to.write_u8(b'r');
            range.canonical().hash(to);
        } else if is_filled(value)
            || value.called("builtins", "slice").is_some()
            || matches!(&*value.plain(), Value::List(_))
        {
            return Err(unhashable(value));
        } else if let Some((class, parts)) = parts(value) {
            to.write_u8(b'o');
            class.hash(to);
            to.write_usize(parts.len());
            for part in &parts {
                self.feed_part(part, to)?;
            }
        } else {
            feed_identity(value, to);
        }
        Ok(())
    }

    /// Hashes a part of an object. Unlike an item, it may be a dict: the state of the object.
    fn feed_part(&mut self, value: &Value, to: &mut DefaultHasher) -> Result<(), Trouble> {
        match value.stored() {
            Value::Dict(pairs) => {
                let levels = self.down(value)?;
                let pairs = pairs.iter().map(|(k, v)| [value.part(k), value.part(v)]);
                self.feed_unordered(pairs, to)?;
                self.depth += levels;
                Ok(())
            }
            _ => self.feed(value, to),
        }
    }
}

/// The classes of `collections` that are not hashable.
const UNHASHABLE: [&str; 4] = ["Counter", "OrderedDict", "defaultdict", "deque"];

fn is(a: &Value, b: &Value) -> bool {
    // Empty slices of different types may share an address.
    std::mem::discriminant(a) == std::mem::discriminant(b) && a.id().is_some() && a.id() == b.id()
}

fn is_container(value: &Value) -> bool {
    matches!(
        value.stored(),
        Value::Tuple(_) | Value::FrozenSet(_) | Value::Object(_)
    )
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

/// Returns the cost of looking at the arguments of an object, in bytes: a container of a knot is copied, and the integers
/// of a `range` are divided.
pub(crate) fn weight(value: &Value) -> usize {
    let Value::Object(object) = value.stored() else {
        return 0;
    };
    let (Make::Call { arguments, .. } | Make::New { arguments, .. }) = &object.make;
    let copied = |value: &Value| match (value, value.stored()) {
        (Value::Knot(..), Value::Tuple(items) | Value::List(items)) => items.len(),
        _ => 0,
    };
    let arguments = value.part(arguments);
    let (Value::Tuple(items) | Value::List(items)) = arguments.stored() else {
        return 0;
    };
    let first = items.first().map(|first| copied(&arguments.part(first)));
    let long = |item: &Value| match item {
        Value::Long(number) => number.bits().min(4096) as usize,
        _ => 0,
    };
    let long: usize = items.iter().take(3).map(long).sum();
    (copied(&arguments) + first.unwrap_or_default()) * size_of::<Value>() + long
}

/// Returns the class and parts of an object, unless Python would compare it by identity.
fn parts(value: &Value) -> Option<(Arc<Global>, Vec<Value>)> {
    let Value::Object(object) = value.stored() else {
        return None;
    };
    let Object { make, steps } = &**object;
    let class = value.class()?;
    let exception = |end| class.name.ends_with(end);
    if BY_IDENTITY.contains(&&*class.module)
        || class.module.starts_with("multiprocessing")
        || ["Error", "Exception", "Warning"].iter().any(exception)
    {
        return None;
    }
    let (Make::Call { arguments, .. } | Make::New { arguments, .. }) = make;
    let mut parts = vec![value.part(arguments).into_owned()];
    if let Make::New {
        keywords: Some(keywords),
        ..
    } = make
    {
        parts.push(value.part(keywords).into_owned());
    }
    let all = |items: &[Value]| {
        items
            .iter()
            .map(|item| value.part(item).into_owned())
            .collect()
    };
    for step in steps {
        parts.push(match step {
            Step::State(state) => value.part(state).into_owned(),
            Step::Extend(items) => Value::List(all(items)),
            Step::Add(items) => Value::Set(all(items)),
            // The order of an OrderedDict matters.
            Step::Set(pairs) if class.name == "OrderedDict" => Value::list(
                pairs
                    .iter()
                    .map(|(k, v)| Value::Tuple(all(&[k.clone(), v.clone()]))),
            ),
            Step::Set(pairs) => Value::Dict(
                pairs
                    .iter()
                    .map(|(k, v)| (value.part(k).into_owned(), value.part(v).into_owned()))
                    .collect(),
            ),
        });
    }
    Some((class, parts))
}

/// Returns whether the value is an instance of a subclass of list, dict or set, which is not hashable.
fn is_filled(value: &Value) -> bool {
    let Value::Object(object) = value.stored() else {
        return false;
    };
    let filled = |step: &Step| !matches!(step, Step::State(_));
    object.steps.iter().any(filled)
        || value.class().is_some_and(|class| {
            class.module == "collections" && UNHASHABLE.contains(&&*class.name)
        })
}

/// An index of the items of a dict or set.
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
            // Pairwise comparison is too slow for sets in sets.
            if few.iter().any(|item| is_container(item)) {
                for (index, item) in few.iter().enumerate() {
                    many.insert(walk.key(item)?, index);
                }
            }
        } else {
            for (index, item) in items.enumerate() {
                many.insert(walk.key(&item)?, index);
            }
        }
        Ok(Index { few, many })
    }

    fn find(&self, walk: &mut Walk, item: &Value) -> Result<Option<usize>, Trouble> {
        for (index, other) in self.few.iter().enumerate() {
            if is(item, other) || self.many.is_empty() && walk.equal(item, other)? {
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
        let (before, mut hasher) = (self.steps, SECRET.build_hasher());
        self.feed(value, &mut hasher)?;
        Ok(Key {
            value: value.clone(),
            hash: hasher.finish(),
            steps: before - self.steps,
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

/// Returns the value as a real number.
fn real(value: &Value) -> Option<Number<'_>> {
    match value {
        Value::Bool(flag) => Some(Number::Int(i64::from(*flag))),
        Value::Int(number) => Some(Number::Int(*number)),
        Value::Long(number) => Some(Number::Long(number)),
        Value::Float(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

/// Returns the real and imaginary part of a number.
fn number(value: &Value) -> Option<(Number<'_>, f64)> {
    match value {
        Value::Complex(re, im) => Some((Number::Float(*re), *im)),
        value => Some((real(value)?, 0.0)),
    }
}

/// 2**63, the first number beyond `i64`.
const PAST: f64 = 9_223_372_036_854_775_808.0;

impl Number<'_> {
    fn bytes(self) -> usize {
        match self {
            Number::Long(number) => (number.bits() / 8) as usize,
            _ => 0,
        }
    }

    /// Returns the exact order; `None` for a NaN.
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
                // The truncated fraction does not matter: a `Long` is never in the range of `i64`.
                Some(b) => Some(a.cmp(&b)),
                None => 0.0.partial_cmp(&b),
            },
            (a, b) => b.order(a).map(Ordering::reverse),
        }
    }
}

fn feed_int(number: i64, to: &mut DefaultHasher) {
    let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
    // One write takes half the time of two.
    to.write(&[b'i', a, b, c, d, e, f, g, h]);
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
pub(crate) struct Range {
    pub start: BigInt,
    pub step: BigInt,
    pub len: BigInt,
}

impl Range {
    /// Returns the parts of a `range`; `None` for other values, for a step of 0, and for numbers of more than 4096 bits.
    pub fn of(value: &Value) -> Option<Self> {
        let arguments = value.called("builtins", "range")?;
        let number = |value: &Value| match value {
            // Dividing longer numbers is slow.
            Value::Long(number) => (number.bits() <= 4096).then(|| (**number).clone()),
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

    /// Returns parts that are the same for all ranges of the same numbers.
    fn canonical(self) -> (BigInt, Option<BigInt>, Option<BigInt>) {
        let many = self.len > BigInt::one();
        let start = (!self.len.is_zero()).then_some(self.start);
        (self.len, start, many.then_some(self.step))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::{ErrorKind, Write as _};
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    fn array(typecode: char, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        Value::Array(Arc::new(Array { typecode, bytes }))
    }

    fn builtin(name: &'static str, arguments: impl IntoIterator<Item = Value>) -> Value {
        Value::call(Value::global("builtins", name), arguments)
    }

    fn deep(depth: usize) -> Value {
        (0..depth).fold(Value::None, |inner, _| Value::list([inner]))
    }

    fn hash(value: impl Into<Value>) -> u64 {
        Key::new(value.into()).unwrap().hash
    }

    /// Sets in sets that differ only in the number that is compared last.
    fn alike(depth: i64, backwards: bool) -> Vec<Value> {
        if depth == 0 {
            return (0..8).map(Value::from).collect();
        }
        let inner = alike(depth - 1, backwards);
        let set = |number: i64| {
            let number = Value::from(100 * depth + number);
            let mut items = [&inner[1..], &[number]].concat();
            if backwards {
                items[..7].reverse();
            }
            Value::FrozenSet(items.into())
        };
        (0..8).map(set).collect()
    }

    #[test]
    fn sets_in_sets_are_compared_by_their_hashes() {
        let key =
            |depth, backwards| Key::new(Value::FrozenSet(alike(depth, backwards).into())).unwrap();
        for depth in 0..7 {
            assert!(key(depth, false) == key(depth, true), "{depth}");
        }
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let two_70 = 2_f64.powi(70);
        let big = Value::from(1_i128 << 70);
        assert!(big == Value::from(two_70));
        assert!(Value::from((1_i128 << 70) + 1) != Value::from(two_70));
        assert!(Value::from((1_i64 << 53) + 1) != Value::from(2_f64.powi(53)));
        assert!(
            Value::from(2_f64.powi(53))
                .less_than(&Value::from((1_i64 << 53) + 1))
                .unwrap()
        );
        assert!(Value::from(i64::MAX) != Value::from(2_f64.powi(63)));
        assert!(Value::from(i64::MIN) == Value::from(-2_f64.powi(63)));
        assert!(
            Value::from(1) == Value::from(true) && Value::from(1.0) == Value::Complex(1.0, -0.0)
        );
        assert!(Value::from(0.0) == Value::from(-0.0));
        assert!(Value::from(f64::NAN) != Value::from(f64::NAN));
        assert!(big.less_than(&Value::from(f64::INFINITY)).unwrap());
        assert!(!big.less_than(&Value::from(f64::NAN)).unwrap());
        assert!(Value::from(-1.5).less_than(&Value::from(-1)).unwrap());
    }

    #[test]
    fn equal_keys_have_one_hash() {
        assert_eq!(hash(1), hash(1.0));
        assert_eq!(hash(1), hash(true));
        assert_eq!(hash(1), hash(Value::Complex(1.0, 0.0)));
        assert_eq!(hash(0.0), hash(-0.0));
        assert_eq!(hash(1_i128 << 70), hash(2_f64.powi(70)));
        assert_eq!(hash((1, "a", 2.0)), hash((1.0, "a", 2)));
        let set = |items: &[i64]| Value::frozenset(items.iter().copied()).unwrap();
        assert_eq!(hash(set(&[1, 2, 3])), hash(set(&[3, 1, 2])));
        let range = |a: i64, b: i64, c: i64| builtin("range", [a.into(), b.into(), c.into()]);
        assert_eq!(hash(range(0, 3, 2)), hash(range(0, 4, 2)));
        assert!(range(0, 3, 2) == range(0, 4, 2) && range(0, 0, 1) == range(7, 3, 1));
        assert!(range(0, 3, 1) != range(0, 4, 1));
        assert_ne!(hash("1"), hash(Value::bytes("1")));
        assert_ne!(hash(((1, 2), 3)), hash((1, (2, 3))));
    }

    #[test]
    fn what_python_does_not_hash_is_refused() {
        let text = |value: Value| Key::new(value).err().map(|e| e.to_string());
        for (value, name) in [
            (Value::list([]), "list"),
            (Value::Dict([].into()), "dict"),
            (Value::Set([].into()), "set"),
            (Value::ByteArray([].into()), "bytearray"),
            (array('i', []), "array.array"),
            (
                builtin("slice", [Value::None, Value::None, Value::None]),
                "slice",
            ),
            (builtin("list", [Value::list([])]), "list"),
            (Value::tuple([1.into(), Value::list([])]), "list"),
        ] {
            assert_eq!(
                text(value),
                Some(format!("TypeError: unhashable type: '{name}'"))
            );
        }
    }

    #[test]
    fn a_nan_is_a_key_of_its_own() {
        let key = Key::new(f64::NAN.into()).unwrap();
        let mut map = HashMap::from([(key.clone(), 1)]);
        assert_eq!(map.get(&key), Some(&1));
        assert_eq!(map.get(&Key::new(f64::NAN.into()).unwrap()), None);
        assert_eq!(map.remove(&key), Some(1));
    }

    #[test]
    fn an_object_equals_itself_or_its_parts() {
        let error = builtin("ValueError", ["x".into()]);
        assert!(error == error.clone());
        assert!(error != builtin("ValueError", ["x".into()]));
        let date = || {
            Value::call(
                Value::global("datetime", "date"),
                [Value::bytes([7, 232, 1, 2])],
            )
        };
        assert!(date() == date());
        assert_eq!(hash(date()), hash(date()));
        assert!(Value::global("a", "b") == Value::global("a", "b"));
        assert!(builtin("list", [Value::list([1.into()])]) == Value::from([1]));
    }

    #[test]
    fn identity_comes_first_inside_of_containers() {
        let nan = Value::from([f64::NAN]);
        assert!(nan == nan.clone());
        assert!(nan != Value::from([f64::NAN]));
        let floats = array('d', f64::NAN.to_ne_bytes());
        assert!(floats != floats.clone());
        assert!(Value::list([floats.clone()]) == Value::list([floats]));
    }

    #[test]
    fn deep_circular_and_shared_values_end() {
        const DEEP: &str = "RecursionError: maximum recursion depth exceeded in comparison";
        assert!(deep(900).equals(&deep(900)).unwrap());
        let text = |result: Result<bool, Exception>| result.unwrap_err().to_string();
        assert_eq!(text(deep(1000).equals(&deep(1000))), DEEP);
        assert_eq!(text(deep(1000).less_than(&deep(1000))), DEEP);
        let circle = || Value::Knot([Value::List([Value::Inner(0)].into())].into(), 0);
        assert_eq!(text(circle().equals(&circle())), DEEP);
        let circle = circle();
        assert!(circle.equals(&circle).unwrap());
        let shared = || (0..100).fold(Value::tuple([]), |v, _| Value::tuple([v.clone(), v]));
        let (a, b) = (shared(), shared());
        assert!(a.equals(&a.clone()).unwrap());
        let mut walk = Walk {
            depth: DEPTH,
            steps: 1 << 16,
        };
        assert!(matches!(walk.equal(&a, &b), Err(Trouble::Deep)));
        walk.steps = 1 << 16;
        let mut hasher = SECRET.build_hasher();
        assert!(matches!(walk.feed(&a, &mut hasher), Err(Trouble::Deep)));
        let tuple = (0..1000).fold(Value::None, |inner, _| Value::tuple([inner]));
        let deep = Key::new(tuple).err().map(|e| e.to_string());
        assert_eq!(
            deep.as_deref(),
            Some("RecursionError: maximum recursion depth exceeded")
        );
    }

    #[test]
    fn the_stack_holds_whatever_nests() {
        type Wrap = fn(Value) -> Value;
        let wraps: [Wrap; 9] = [
            |inner| Value::list([inner]),
            |inner| Value::tuple([inner]),
            |inner| Value::Dict([(1.into(), inner)].into()),
            |inner| Value::Dict([(inner, 1.into())].into()),
            |inner| Value::FrozenSet([inner].into()),
            |inner| builtin("list", [Value::list([inner])]),
            |inner| builtin("slice", [inner]),
            |inner| builtin("ValueError", [inner]),
            |inner| Value::call(Value::global("datetime", "date"), [inner]),
        ];
        let partial: Wrap = |inner| {
            let rebuild = Value::global("multiprocessing.reduction", "_rebuild_partial");
            Value::call(rebuild, [inner, Value::tuple([]), Value::None])
        };
        for (index, wrap) in wraps.into_iter().chain([partial]).enumerate() {
            let make = || (0..1000).fold(Value::None, |inner, _| wrap(inner));
            let (a, b) = (make(), make());
            let ends = [
                a.equals(&b).err(),
                a.less_than(&b).err(),
                Key::new(a.clone()).err(),
                a.repr().err(),
            ];
            // A date's contents are opaque here.
            assert!(ends[3].is_some() || index == 8, "{index}");
        }
    }

    #[test]
    fn large_dicts_and_sets_are_looked_up() {
        let dict = |items: &mut dyn Iterator<Item = i64>| {
            Value::dict(items.map(|n| ((n, "k"), n))).unwrap()
        };
        let forward = dict(&mut (0..5000));
        assert!(forward == dict(&mut (0..5000).rev()));
        assert!(forward != dict(&mut (1..5001)));
        let set = |items: std::ops::Range<i64>| Value::set(items).unwrap();
        assert!(set(0..5000).less_than(&set(0..5001)).unwrap());
        assert!(!set(0..5000).less_than(&set(1..5001)).unwrap());
    }

    /// A random value, and its source in Python. Two with the same `shape` are mostly equal.
    struct Random {
        shape: fastrand::Rng,
        kind: fastrand::Rng,
        /// Whether the value contains a set, whose order may differ in Python.
        unordered: bool,
    }

    impl Random {
        fn number(&mut self) -> (Value, String) {
            let float = |x: f64| (Value::Float(x), format!("float.fromhex('{}')", hex(x)));
            let base: i128 = match self.shape.u8(..10) {
                0..=4 => self.shape.i128(-3..4),
                5 => (1 << 53) + self.shape.i128(-2..3),
                6 => (1 << 63) + self.shape.i128(-2..3),
                7 => -(1 << 63) + self.shape.i128(-2..3),
                8 => (1 << 70) + self.shape.i128(-1..2),
                _ => {
                    let numbers = [
                        f64::NAN,
                        f64::INFINITY,
                        -f64::INFINITY,
                        -0.0,
                        0.5,
                        1e16,
                        1e-5,
                        1e300,
                    ];
                    return match self.shape.usize(..numbers.len() + 4) {
                        n if n < numbers.len() => float(numbers[n]),
                        n if n % 4 == 0 => float(f32::from_bits(self.shape.u32(..)).into()),
                        n if n % 4 == 1 => {
                            float(self.shape.i64(..) as f64 / 2_f64.powi(self.shape.i32(0..70)))
                        }
                        n if n % 4 == 2 => {
                            float(self.shape.i32(..) as f64 / 10_f64.powi(self.shape.i32(0..20)))
                        }
                        _ => float(f64::from_bits(self.shape.u64(..))),
                    };
                }
            };
            match self.kind.u8(..8) {
                0 if base == 0 || base == 1 => {
                    let flag = base == 1;
                    (flag.into(), if flag { "True" } else { "False" }.to_owned())
                }
                // Sometimes equal, sometimes only near.
                0 | 1 => float(base as f64),
                2 if base.abs() < 1 << 53 => {
                    let im = *self.kind.choice(&[0.0, -0.0, 1.0, 1e16]).unwrap();
                    (
                        Value::Complex(base as f64, im),
                        format!("complex({base}.0, {im:?})"),
                    )
                }
                _ => (base.into(), base.to_string()),
            }
        }

        fn text(&mut self) -> (Value, String) {
            let (mut bytes, mut source) = (vec![], String::from("'"));
            for _ in 0..self.shape.usize(..4) {
                let code = match self.shape.u8(..12) {
                    0..=5 => self.shape.u32(97..100),
                    6 => self.shape.u32(0..0x180),
                    7 => *self
                        .shape
                        .choice(&[0x27, 0x22, 0x5c, 0xa, 0xa0, 0xad, 0x2028, 0x1f600])
                        .unwrap(),
                    8 => self.shape.u32(0xd800..0xe000),
                    9 => self.shape.u32(0x4e00..0x4f00),
                    _ => self.shape.u32(0x20..0x7f),
                };
                write!(source, "\\U{code:08x}").unwrap();
                match char::from_u32(code) {
                    Some(char) => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
                    None => bytes.extend([
                        0xed,
                        (code >> 6 & 0x3f | 0x80) as u8,
                        (code & 0x3f | 0x80) as u8,
                    ]),
                }
            }
            (Value::text(&bytes).unwrap(), source + "'")
        }

        fn bytes(&mut self) -> (Arc<[u8]>, String) {
            let bytes: Vec<u8> = (0..self.shape.usize(..4))
                .map(|_| self.shape.u8(..))
                .collect();
            let source = format!("bytes({bytes:?})");
            (bytes.into(), source)
        }

        fn items(&mut self, depth: u8, hashable: bool) -> (Vec<Value>, Vec<String>) {
            let most = self.shape.usize(..5);
            (0..most).map(|_| self.value(depth, hashable)).unzip()
        }

        fn value(&mut self, depth: u8, hashable: bool) -> (Value, String) {
            let most = if depth == 0 { 9 } else { 20 };
            match self.shape.u8(..most) {
                0..=4 => self.number(),
                5 | 6 => self.text(),
                7 => match self.bytes() {
                    (bytes, source) if !hashable && self.kind.bool() => {
                        (Value::ByteArray(bytes), format!("bytearray({source})"))
                    }
                    (bytes, source) => (Value::Bytes(bytes), source),
                },
                8 => (Value::None, "None".to_owned()),
                9..=11 => {
                    let (items, sources) = self.items(depth - 1, hashable);
                    let source = sources.iter().map(|source| format!("{source},"));
                    (
                        Value::tuple(items),
                        format!("({})", source.collect::<String>()),
                    )
                }
                12 => {
                    let (items, sources) = self.items(depth - 1, true);
                    self.unordered |= items.len() > 1;
                    let source = sources.join(",");
                    if hashable || self.kind.bool() {
                        (
                            Value::frozenset(items).unwrap(),
                            format!("frozenset([{source}])"),
                        )
                    } else {
                        (Value::set(items).unwrap(), format!("set([{source}])"))
                    }
                }
                13 => {
                    let [a, b] = [(); 2].map(|()| self.shape.i64(-4..5));
                    let c: i64 = *self.shape.choice(&[-3, -1, 1, 2]).unwrap();
                    let (a, b) = if self.kind.bool() {
                        (a, b)
                    } else {
                        (a, b + c.signum())
                    };
                    let arguments = [a, b, c].map(Value::from);
                    (builtin("range", arguments), format!("range({a}, {b}, {c})"))
                }
                14 => {
                    let names = ["int", "print", "ValueError", "list"];
                    let name = *self.shape.choice(&names).unwrap();
                    (Value::global("builtins", name), name.to_owned())
                }
                _ if hashable => self.number(),
                15 => {
                    let (keys, key_sources) = self.items(depth - 1, true);
                    let mut dict = vec![];
                    let mut source = String::new();
                    for (key, key_source) in keys.into_iter().zip(key_sources) {
                        let (value, value_source) = self.value(depth - 1, false);
                        dict.push((key, value));
                        write!(source, "{key_source}: {value_source},").unwrap();
                    }
                    (Value::dict(dict).unwrap(), format!("{{{source}}}"))
                }
                16 => {
                    let codes = [
                        'b', 'B', 'h', 'H', 'i', 'I', 'l', 'L', 'q', 'Q', 'f', 'd', 'u',
                    ];
                    let code = *self.shape.choice(&codes).unwrap();
                    let size = array(code, []);
                    let Value::Array(size) = &size else {
                        unreachable!()
                    };
                    let size = size.item_size().unwrap();
                    let number = |random: &mut Self| match code {
                        'f' => random.shape.f32().to_ne_bytes().to_vec(),
                        'u' => random.shape.u32(0x20..0x180).to_ne_bytes().to_vec(),
                        _ => (0..size).map(|_| random.shape.u8(..)).collect(),
                    };
                    let most = self.shape.usize(..4);
                    let bytes: Vec<u8> = (0..most).flat_map(|_| number(self)).collect();
                    let source = format!("array('{code}', bytes({bytes:?}))");
                    (array(code, bytes), source)
                }
                17 => {
                    let [(a, x), (b, y)] = [(); 2].map(|()| self.number());
                    (
                        builtin("slice", [a, b, Value::None]),
                        format!("slice({x}, {y}, None)"),
                    )
                }
                _ => {
                    let (items, sources) = self.items(depth - 1, false);
                    (Value::list(items), format!("[{}]", sources.join(",")))
                }
            }
        }
    }

    /// As Python's `float.fromhex` reads it.
    fn hex(x: f64) -> String {
        if !x.is_finite() {
            return x.to_string();
        }
        let bits = x.to_bits();
        let sign = if x.is_sign_negative() { "-" } else { "" };
        let exponent = (bits >> 52 & 0x7ff) as i32;
        let lead = i32::from(exponent != 0);
        let mantissa = bits & ((1 << 52) - 1);
        format!("{sign}0x{lead}.{mantissa:013x}p{}", exponent.max(1) - 1023)
    }

    /// Returns Python's answers, one line for each pair.
    const PYTHON: &str = r#"
import sys, array as module
array = lambda code, data: (lambda a: (a.frombytes(data), a)[1])(module.array(code))
def told(f):
    try:
        return repr(f())
    except Exception as e:
        return f'{type(e).__name__}: {e}'
sys.stdout.reconfigure(encoding='utf-8', newline='\n')
for line in sys.stdin:
    a, b = map(eval, line.rstrip('\n').split('\t'))
    for said in (repr(a), str(a == b), str(b == a), told(lambda: a < b), told(lambda: a > b), str(bool(a)),
                 told(lambda: b in {a: 0}), told(lambda: a < None)):
        print(said)
"#;

    fn told(result: Result<bool, Exception>) -> String {
        match result {
            Ok(flag) => Value::from(flag).to_string(),
            Err(exception) => exception.to_string(),
        }
    }

    #[test]
    fn python_says_the_same() {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SEED={seed}");
        let python = Command::new("python3")
            .args(["-c", PYTHON])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut python = match python {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("there is no python3");
                return;
            }
            python => python.unwrap(),
        };
        let mut seeds = fastrand::Rng::with_seed(seed);
        let mut cases = vec![];
        let mut input = String::new();
        for _ in 0..5000 {
            let shapes = [seeds.u64(..), seeds.u64(..)];
            let shapes = if seeds.u8(..4) == 0 {
                shapes
            } else {
                [shapes[0]; 2]
            };
            let [a, b] = shapes.map(|shape| {
                let mut random = Random {
                    shape: fastrand::Rng::with_seed(shape),
                    kind: seeds.fork(),
                    unordered: false,
                };
                let (value, source) = random.value(3, false);
                (value, source, random.unordered)
            });
            writeln!(input, "{}\t{}", a.1, b.1).unwrap();
            cases.push((a, b));
        }
        let mut stdin = python.stdin.take().unwrap();
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = python.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let mut said = output.lines();
        for ((a, a_source, unordered), (b, b_source, _)) in cases {
            let key = |value: &Value| Key::new(value.clone());
            let found = key(&a).and_then(|x| Ok(x == key(&b)?));
            let ours = [
                a.repr().unwrap(),
                told(a.equals(&b)),
                told(b.equals(&a)),
                told(a.less_than(&b)),
                told(b.less_than(&a)).replacen("'<'", "'>'", 1),
                told(Ok(a.truth())),
                told(found),
                told(a.less_than(&Value::None)),
            ];
            for (index, ours) in ours.into_iter().enumerate() {
                let theirs = said.next().unwrap();
                if index == 4 && theirs.starts_with("TypeError") {
                    // Python names them in reverse order.
                    assert!(
                        ours.starts_with("TypeError"),
                        "{index}: {a_source} and {b_source}"
                    );
                } else if index == 0 && unordered {
                    assert_eq!(ours.len(), theirs.len(), "{a_source}");
                } else {
                    assert_eq!(ours, theirs, "{index}: {a_source} and {b_source}");
                }
            }
        }
    }
}
