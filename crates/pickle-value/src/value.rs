//! Python's values, as far as they can be represented without Python.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::address::Address;

/// CPython's default for `sys.get_int_max_str_digits()`. Longer decimals are refused, because converting them takes
/// quadratic time.
pub(crate) const DIGITS: usize = 4300;

/// A Python value.
///
/// A value is immutable. A clone is the same object and costs one reference count. An object that occurs twice in a pickle
/// is also one object after reading.
///
/// `==` is Python's: `1 == 1.0 == True`, also inside containers. [`Display`](std::fmt::Display) and
/// [`Debug`](std::fmt::Debug) show Python's `repr`.
///
/// ```
/// use pickle_value::Value;
///
/// let value = Value::from(("spam", vec![1, 2], None::<i64>, true));
/// assert_eq!(value.to_string(), "('spam', [1, 2], None, True)");
/// assert_eq!(Value::from(1), Value::from(1.0));
/// assert_eq!(Value::from(7).as_int(), Some(7));
/// ```
#[derive(Clone)]
pub enum Value {
    /// `None`.
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int` in the range of `i64`.
    Int(i64),
    /// An `int` outside the range of `i64`; smaller ones are always [`Value::Int`].
    Long(Arc<BigInt>),
    /// A `float`.
    Float(f64),
    /// A `complex`: its real and imaginary parts.
    Complex(f64, f64),
    /// A `str`.
    Str(Arc<str>),
    /// A `str` with lone surrogates, which Rust's `str` cannot hold, as UTF-8 with three bytes for each surrogate. Any
    /// other `str` is a [`Value::Str`].
    Surrogates(Arc<[u8]>),
    /// A `bytes`.
    Bytes(Arc<[u8]>),
    /// A `bytearray`.
    ByteArray(Arc<[u8]>),
    /// A `tuple`.
    Tuple(Arc<[Value]>),
    /// A `list`.
    List(Arc<[Value]>),
    /// A `dict`, in the order of insertion. Keys are distinct.
    Dict(Arc<[(Value, Value)]>),
    /// A `set`, in pickle order. Items are distinct.
    Set(Arc<[Value]>),
    /// A `frozenset`, like [`Value::Set`].
    FrozenSet(Arc<[Value]>),
    /// The name of a class or function.
    Global(Arc<Global>),
    /// Any other object, as the calls that construct it. It is written back unchanged.
    Object(Arc<Object>),
    /// An `array.array`.
    Array(Arc<Array>),
    /// A reference to an object that a manager's server holds.
    Proxy(Arc<Proxy>),
    /// A cyclic value: a group of values that refer to each other in a cycle, and the index of one of them. Use
    /// [`Value::node`] to access its parts.
    Knot(Arc<[Value]>, usize),
    /// Another value of the same group, by its index. It occurs only inside a [`Value::Knot`].
    Inner(usize),
}

/// The name of a class or function.
///
/// Nothing is imported: a global is only a name, whether or not it exists in Python.
///
/// ```
/// use pickle_value::Global;
///
/// let print = Global { module: "builtins".into(), name: "print".into() };
/// assert_eq!(print.to_string(), "builtins.print");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Global {
    /// The module, such as `collections`.
    pub module: Cow<'static, str>,
    /// The qualified name, with a dot for each class that contains it.
    pub name: Cow<'static, str>,
}

/// An object of a class that only Python knows, as the calls that construct it.
///
/// ```
/// use pickle_value::{Make, Value};
///
/// let delta = Value::call(Value::global("datetime", "timedelta"), [Value::from(1)]);
/// let Value::Object(object) = &delta else { unreachable!() };
/// assert!(matches!(object.make, Make::Call { .. }));
/// assert!(object.steps.is_empty());
/// ```
pub struct Object {
    /// The call that creates the object.
    pub make: Make,
    /// The steps that then initialise the object, in order.
    pub steps: Vec<Step>,
}

/// The call that creates an [`Object`].
pub enum Make {
    /// `callable(*arguments)`.
    Call {
        /// The function or class.
        callable: Value,
        /// A tuple.
        arguments: Value,
    },
    /// `class.__new__(class, *arguments, **keywords)`.
    New {
        /// The class.
        class: Value,
        /// A tuple.
        arguments: Value,
        /// A dict.
        keywords: Option<Value>,
    },
}

/// A step that initialises a new [`Object`].
pub enum Step {
    /// Sets the state: `__setstate__`, or an update of `__dict__`.
    State(Value),
    /// Appends items, as to a list.
    Extend(Vec<Value>),
    /// Sets items, as in a dict.
    Set(Vec<(Value, Value)>),
    /// Adds items, as to a set.
    Add(Vec<Value>),
}

/// An `array.array`: numbers of one type.
///
/// ```
/// use pickle_value::Array;
///
/// let bytes = [1_i32, -1].iter().flat_map(|n| n.to_ne_bytes()).collect();
/// let array = Array { typecode: 'i', bytes };
/// assert_eq!(array.len().unwrap(), 2);
/// assert_eq!(array.item(1).unwrap().as_int(), Some(-1));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    /// One of `bBuhHiIlLqQfd`.
    pub typecode: char,
    /// The items, in the byte order of this machine.
    pub bytes: Vec<u8>,
}

/// A reference to an object that a manager's server holds, as `multiprocessing.managers` pickles it.
///
/// ```
/// use pickle_value::{Global, Proxy, Value};
///
/// let proxy = Proxy {
///     class: Global { module: "multiprocessing.managers".into(), name: "ListProxy".into() }.into(),
///     typeid: "list".into(),
///     address: "127.0.0.1:5000".parse().unwrap(),
///     ident: "7f3a".into(),
///     exposed: None,
///     keep: None,
/// };
/// assert!(Value::Proxy(proxy.into()).to_string().starts_with("<ListProxy object, typeid 'list'"));
/// ```
pub struct Proxy {
    /// The class in Python, such as `multiprocessing.managers.ListProxy`.
    pub class: Arc<Global>,
    /// The name under which the object's type is registered, such as `list`.
    pub typeid: Arc<str>,
    /// The server's address, as the sender of the proxy wrote it.
    pub address: Address,
    /// The server's name for the object.
    pub ident: Arc<str>,
    /// The methods, for a class that does not name them (`AutoProxy`).
    pub exposed: Option<Arc<[Arc<str>]>>,
    /// A resource that the proxy owns: the object in a server, a reference count in a client.
    pub keep: Option<Keep>,
}

/// A resource that a [`Proxy`] owns. See [`loads_with`](crate::loads_with).
pub type Keep = Arc<dyn Any + Send + Sync>;

impl Value {
    /// Returns the value itself, or the container that a [`Value::Knot`] refers to.
    ///
    /// Match on the result to inspect a container that may contain itself. Each call copies such a container.
    ///
    /// ```
    /// use pickle_value::{Value, loads};
    ///
    /// let list = loads(b"\x80\x02]q\x00h\x00a.").unwrap(); // l = []; l.append(l)
    /// let Value::List(items) = &*list.node() else { unreachable!() };
    /// assert_eq!(items[0].to_string(), "[[...]]");
    /// ```
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

    /// Returns the value as its knot stores it. Its parts may be [`Value::Inner`]: pass them through [`Value::part`].
    /// Unlike [`Value::node`], this copies nothing.
    pub(crate) fn stored(&self) -> &Value {
        match self {
            Value::Knot(knot, index) => &knot[*index],
            value => value,
        }
    }

    /// Returns a part of [`Value::stored`] as a value that is valid outside its knot.
    pub(crate) fn part<'a>(&self, part: &'a Value) -> Cow<'a, Value> {
        match (self, part) {
            (Value::Knot(knot, _), Value::Inner(index)) => {
                Cow::Owned(Value::Knot(knot.clone(), *index))
            }
            (_, part) => Cow::Borrowed(part),
        }
    }

    /// Returns the address of the object, Python's `id`: the same for all clones. Values that own no memory have none.
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

    /// Returns the class or function of this name.
    pub fn global(
        module: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (module, name) = (module.into(), name.into());
        Value::Global(Arc::new(Global { module, name }))
    }

    /// Returns a `tuple`.
    pub fn tuple(values: impl IntoIterator<Item = Value>) -> Self {
        Value::Tuple(values.into_iter().collect())
    }

    /// Returns a `list`.
    pub fn list(values: impl IntoIterator<Item = Value>) -> Self {
        Value::List(values.into_iter().collect())
    }

    /// Returns an object that represents the result of `callable(*arguments)`. Nothing is called.
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

    /// Returns the arguments if the value is the unmodified result of a call of `module.name`.
    ///
    /// ```
    /// use pickle_value::Value;
    ///
    /// let range = Value::call(Value::global("builtins", "range"), [Value::from(3)]);
    /// assert_eq!(range.called("builtins", "range").unwrap()[0], Value::from(3));
    /// assert!(range.called("builtins", "slice").is_none());
    /// ```
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

    /// Returns the text of a `str` without lone surrogates.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the UTF-8 of a `str`, with three bytes for each lone surrogate: Python's `surrogatepass`.
    ///
    /// [`Value::text`] is the inverse.
    ///
    /// ```
    /// use pickle_value::Value;
    ///
    /// let lone = Value::text(b"a\xed\xa0\x80").unwrap();
    /// assert_eq!(lone.text_bytes(), Some(&b"a\xed\xa0\x80"[..]));
    /// assert_eq!(lone.to_string(), r"'a\ud800'");
    /// ```
    pub fn text_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Str(text) => Some(text.as_bytes()),
            Value::Surrogates(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns an `int` in the range of `i64`, or a `bool` as 0 or 1.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// Returns an `int`, `float` or `bool` as the nearest `f64`.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Long(number) => number.to_f64(),
            value => value.as_int().map(|number| number as f64),
        }
    }

    /// Returns a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// Returns the bytes of a `bytes` or `bytearray`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Value {
    /// Calls `see` for each proxy in the value. Each container is searched once, even if it occurs several times;
    /// `seen` holds the containers already searched.
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
    /// Returns the parts of the object.
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
    /// Returns the object with each part replaced.
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
    /// Returns the size of an item in bytes, as on 64-bit Linux; `None` for an unknown typecode.
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

/// Returns whether Python's `surrogatepass` decodes the bytes: UTF-8, with surrogates in three bytes each.
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
