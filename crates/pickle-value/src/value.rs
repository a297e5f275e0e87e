//! What travels: Python's values, as far as they can be known without Python.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::address::Address;

/// CPython's `sys.get_int_max_str_digits()`: it converts no longer decimals, because that takes quadratic time.
pub(crate) const DIGITS: usize = 4300;

/// A Python value. It never changes once it is made, and a clone is the same object: what occurs twice in a message is
/// one object for the reader too.
///
/// `==` is Python's: `1 == 1.0 == True`, also inside of containers.
#[derive(Clone)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that is no `i64`; one that is is always an [`Value::Int`].
    Long(Arc<BigInt>),
    Float(f64),
    Complex(f64, f64),
    Str(Arc<str>),
    /// A `str` with lone surrogates, which Rust's cannot hold, each encoded in three bytes; any other is a [`Value::Str`].
    Surrogates(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    ByteArray(Arc<[u8]>),
    Tuple(Arc<[Value]>),
    List(Arc<[Value]>),
    /// In the order of insertion; no key is there twice.
    Dict(Arc<[(Value, Value)]>),
    /// In the order in which it arrived; no item is there twice.
    Set(Arc<[Value]>),
    FrozenSet(Arc<[Value]>),
    /// A class or function, by its name.
    Global(Arc<Global>),
    /// Anything else: how Python would make it. It is kept, and sent on as it came.
    Object(Arc<Object>),
    /// An `array.array`.
    Array(Arc<Array>),
    /// A shared object, which a server holds.
    Proxy(Arc<Proxy>),
    /// One of the values of a knot, which refer to each other in a circle. See [`Value::node`].
    Knot(Arc<[Value]>, usize),
    /// Only inside of a knot: another value of the same knot.
    Inner(usize),
}

/// A class or function: what `module.name` is in Python.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Global {
    pub module: Cow<'static, str>,
    /// The qualified name, with dots where it lies in a class.
    pub name: Cow<'static, str>,
}

/// An object, as the calls that make it.
pub struct Object {
    pub make: Make,
    /// What is done with it then, in order.
    pub steps: Vec<Step>,
}

pub enum Make {
    /// `callable(*arguments)`; the arguments are a tuple.
    Call { callable: Value, arguments: Value },
    /// `class.__new__(class, *arguments, **keywords)`; the keywords are a dict.
    New {
        class: Value,
        arguments: Value,
        keywords: Option<Value>,
    },
}

pub enum Step {
    /// `__setstate__`, or an update of `__dict__`.
    State(Value),
    /// Each is appended, as to a list.
    Extend(Vec<Value>),
    /// Each is set, as in a dict.
    Set(Vec<(Value, Value)>),
    /// Each is added, as to a set.
    Add(Vec<Value>),
}

/// An `array.array`: numbers of one type.
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    /// One of `bBuhHiIlLqQfd`.
    pub typecode: char,
    /// The items, as they lie in memory.
    pub bytes: Vec<u8>,
}

/// A reference to an object that a server holds.
pub struct Proxy {
    /// The class in Python, such as `multiprocessing.managers.ListProxy`.
    pub class: Arc<Global>,
    /// What the object was registered as, such as `list`.
    pub typeid: Arc<str>,
    /// The server, as whoever sent this calls it.
    pub address: Address,
    /// The name of the object, for the server.
    pub ident: Arc<str>,
    /// The methods, where the class does not say them (`AutoProxy`).
    pub exposed: Option<Arc<[Arc<str>]>>,
    /// What keeps the object alive as long as this value is: for a server its object, for a client a count.
    pub keep: Option<Keep>,
}

pub type Keep = Arc<dyn Any + Send + Sync>;

impl Value {
    /// The value with its parts at hand: never a [`Value::Knot`]. What looks into containers looks through this.
    pub fn node(&self) -> Cow<'_, Value> {
        let Value::Knot(knot, index) = self else {
            return Cow::Borrowed(self);
        };
        let outer = |value: &Value| match value {
            Value::Inner(index) => Value::Knot(knot.clone(), *index),
            value => value.clone(),
        };
        let all = |values: &[Value]| values.iter().map(outer).collect();
        Cow::Owned(match &knot[*index] {
            Value::Tuple(values) => Value::Tuple(all(values)),
            Value::List(values) => Value::List(all(values)),
            Value::Set(values) => Value::Set(all(values)),
            Value::FrozenSet(values) => Value::FrozenSet(all(values)),
            Value::Dict(pairs) => {
                Value::Dict(pairs.iter().map(|(k, v)| (outer(k), outer(v))).collect())
            }
            Value::Object(object) => Value::Object(Arc::new(object.map(outer))),
            value => outer(value),
        })
    }

    /// The value as its knot holds it, with parts that may be [`Value::Inner`]: take them by [`Value::part`]. Unlike
    /// [`Value::node`] this copies nothing.
    pub(crate) fn stored(&self) -> &Value {
        match self {
            Value::Knot(knot, index) => &knot[*index],
            value => value,
        }
    }

    /// A part of [`Value::stored`], as it is outside of its knot.
    pub(crate) fn part<'a>(&self, part: &'a Value) -> Cow<'a, Value> {
        match (self, part) {
            (Value::Knot(knot, _), Value::Inner(index)) => {
                Cow::Owned(Value::Knot(knot.clone(), *index))
            }
            (_, part) => Cow::Borrowed(part),
        }
    }

    /// Where the object lies, Python's `id`: the same for clones. Small values have none.
    pub fn id(&self) -> Option<usize> {
        fn at<T: ?Sized>(arc: &Arc<T>) -> Option<usize> {
            Some(Arc::as_ptr(arc).cast::<()>() as usize)
        }
        match self {
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => None,
            Value::Complex(..) | Value::Inner(_) => None,
            Value::Long(v) => at(v),
            Value::Str(v) => at(v),
            Value::Surrogates(v) | Value::Bytes(v) | Value::ByteArray(v) => at(v),
            Value::Tuple(v) | Value::List(v) | Value::Set(v) | Value::FrozenSet(v) => at(v),
            Value::Dict(v) => at(v),
            Value::Global(v) => at(v),
            Value::Object(v) => at(v),
            Value::Array(v) => at(v),
            Value::Proxy(v) => at(v),
            Value::Knot(v, index) => Some(&raw const v[*index] as usize),
        }
    }

    pub fn global(
        module: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (module, name) = (module.into(), name.into());
        Value::Global(Arc::new(Global { module, name }))
    }

    pub fn tuple(values: impl IntoIterator<Item = Value>) -> Self {
        Value::Tuple(values.into_iter().collect())
    }

    pub fn list(values: impl IntoIterator<Item = Value>) -> Self {
        Value::List(values.into_iter().collect())
    }

    /// `callable(*arguments)`.
    pub fn call(callable: Value, arguments: impl IntoIterator<Item = Value>) -> Self {
        let arguments = Value::tuple(arguments);
        let make = Make::Call {
            callable,
            arguments,
        };
        Value::Object(Arc::new(Object {
            make,
            steps: vec![],
        }))
    }

    /// The arguments, if this is what the call of `module.name` returns, and nothing was done with it since.
    pub fn called(&self, module: &str, name: &str) -> Option<Arc<[Value]>> {
        let Value::Object(object) = self.stored() else {
            return None;
        };
        let Make::Call {
            callable,
            arguments,
        } = &object.make
        else {
            return None;
        };
        let Value::Global(global) = callable else {
            return None;
        };
        if global.module != module || global.name != name || !object.steps.is_empty() {
            return None;
        }
        match &*self.part(arguments).node() {
            Value::Tuple(arguments) => Some(arguments.clone()),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is an `i64`; Python takes a `bool` for one too.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// A number, as near as an `f64` comes.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Long(number) => number.to_f64(),
            value => value.as_int().map(|number| number as f64),
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// `bytes` or a `bytearray`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Value {
    /// Shows each reference in it. What occurs several times is looked through once, if it is in `seen`.
    pub fn proxies<'a>(&'a self, seen: &mut HashSet<usize>, see: &mut dyn FnMut(&'a Arc<Proxy>)) {
        let mut left = vec![self];
        while let Some(value) = left.pop() {
            match value {
                Value::Proxy(proxy) => see(proxy),
                Value::Tuple(_)
                | Value::List(_)
                | Value::Set(_)
                | Value::FrozenSet(_)
                | Value::Dict(_)
                | Value::Object(_)
                | Value::Knot(..) => {
                    let at = match value {
                        Value::Knot(knot, _) => Some(Arc::as_ptr(knot).cast::<()>() as usize),
                        value => value.id(),
                    };
                    if at.is_some_and(|at| !seen.insert(at)) {
                        continue;
                    }
                    match value {
                        Value::Tuple(v)
                        | Value::List(v)
                        | Value::Set(v)
                        | Value::FrozenSet(v)
                        | Value::Knot(v, _) => left.extend(v.iter()),
                        Value::Dict(pairs) => left.extend(pairs.iter().flat_map(|(k, v)| [k, v])),
                        Value::Object(object) => left.extend(object.parts()),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

impl Object {
    /// The values that it is made of.
    pub fn parts(&self) -> Vec<&Value> {
        let mut parts = match &self.make {
            Make::Call {
                callable,
                arguments,
            } => vec![callable, arguments],
            Make::New {
                class,
                arguments,
                keywords,
            } => [class, arguments].into_iter().chain(keywords).collect(),
        };
        for step in &self.steps {
            match step {
                Step::State(state) => parts.push(state),
                Step::Extend(values) | Step::Add(values) => parts.extend(values),
                Step::Set(pairs) => parts.extend(pairs.iter().flat_map(|(k, v)| [k, v])),
            }
        }
        parts
    }
}

impl Object {
    /// The same with each part replaced.
    fn map(&self, f: impl Fn(&Value) -> Value) -> Object {
        let all = |values: &[Value]| values.iter().map(&f).collect();
        let make = match &self.make {
            Make::Call {
                callable,
                arguments,
            } => Make::Call {
                callable: f(callable),
                arguments: f(arguments),
            },
            Make::New {
                class,
                arguments,
                keywords,
            } => Make::New {
                class: f(class),
                arguments: f(arguments),
                keywords: keywords.as_ref().map(&f),
            },
        };
        let steps = self.steps.iter().map(|step| match step {
            Step::State(state) => Step::State(f(state)),
            Step::Extend(values) => Step::Extend(all(values)),
            Step::Add(values) => Step::Add(all(values)),
            Step::Set(pairs) => Step::Set(pairs.iter().map(|(k, v)| (f(k), f(v))).collect()),
        });
        Object {
            make,
            steps: steps.collect(),
        }
    }
}

impl Array {
    /// Bytes of an item, as on 64-bit Linux. `None` for what is no typecode.
    pub fn size_of(typecode: char) -> Option<usize> {
        Some(match typecode {
            'b' | 'B' => 1,
            'h' | 'H' => 2,
            'i' | 'I' | 'f' | 'u' => 4,
            'l' | 'L' | 'q' | 'Q' | 'd' => 8,
            _ => return None,
        })
    }
}

/// Whether it is what Python encodes with `surrogatepass`: UTF-8, and surrogates in three bytes.
pub(crate) fn is_surrogatepass(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        rest = match rest.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..]) => after,
            _ => return false,
        };
    }
    true
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}
