//! Pickles: Python's values as bytes, and back. Nothing is ever executed.
//!
//! Python:  `pickle.loads`, `pickle.dumps`, and `multiprocessing`'s `ForkingPickler`
//! Differs: a class is only a name, and an object the calls that would make it; both are kept and written again.
//!
//! What is read keeps its identity: what occurs twice in a pickle is one `Arc`, and written once. What refers to itself is
//! a [`Value::Knot`]. Every node that lies on a cycle is one of the knot's own, so that a [`Value::Inner`] is always a
//! direct part of a node, and what lies outside of the cycle is an ordinary value.

mod names;
mod opcode;
mod read;
mod small;
mod write;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::{error, fmt};

use super::args::Args;
use super::value::{Address, Keep, Make, Object, Proxy, Step, Value};

/// What a pickle may cost whoever reads it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How deep containers and objects lie in each other. An object's arguments and its state are one level more. In a
    /// knot, what refers back to a value around it is not counted.
    pub depth: usize,
    /// Bytes, for the values and what the reader needs meanwhile, estimated while it reads.
    pub memory: usize,
}

impl Default for Limits {
    /// A depth of 1000 and 1 GiB.
    fn default() -> Self {
        Limits {
            depth: 1000,
            memory: 1 << 30,
        }
    }
}

/// Why a pickle is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It ends in the middle.
    Truncated,
    /// No opcode of protocols 0 to 5.
    Opcode { code: u8, at: usize },
    /// An opcode that makes no sense here, or that this reader does not know.
    Malformed { what: &'static str, at: usize },
    /// Deeper than [`Limits::depth`].
    Depth(usize),
    /// More than [`Limits::memory`].
    Memory(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated => write!(f, "pickle ends in the middle"),
            Error::Opcode { code, at } => write!(f, "unknown opcode {code:#04x} at byte {at}"),
            Error::Malformed { what, at } => write!(f, "{what} at byte {at}"),
            Error::Depth(limit) => write!(f, "pickle is more than {limit} levels deep"),
            Error::Memory(limit) => write!(f, "pickle needs more than {limit} bytes"),
        }
    }
}

impl error::Error for Error {}

/// Reads a pickle of protocol 0 to 5, with the default limits. What follows after its end is ignored, as CPython does.
///
/// Errors: see [`Error`]. Persistent ids, extension codes, out-of-band buffers and state setters are refused.
pub fn loads(pickle: &[u8]) -> Result<Value, Error> {
    loads_with(pickle, &Limits::default(), &mut |_| None)
}

/// The same with limits of one's own. `keep` is called once for each proxy that is part of the result, and says what the
/// proxy holds on to.
///
/// A key that is twice in a dict has its last value, at the place of the first. That is looked for among numbers, `str` and
/// `bytes`; other keys are taken for different ones unless they are the same object. No pickler writes a key twice.
pub fn loads_with(
    pickle: &[u8],
    limits: &Limits,
    keep: &mut dyn FnMut(&Proxy) -> Option<Keep>,
) -> Result<Value, Error> {
    match small::read(pickle, limits) {
        Some(value) => Ok(value),
        None => read::Reader::new(pickle, limits).read(keep),
    }
}

/// A request for a method without keywords, if it is small: the object's name, the method's, the arguments. `None` says
/// nothing: [`loads_with`] reads every request.
pub fn small_request<'a>(
    pickle: &'a [u8],
    limits: &Limits,
) -> Option<(&'a str, &'a str, Arc<[Value]>)> {
    small::request(pickle, limits)
}

/// A reply, if it is small: its kind and its value.
pub fn small_reply<'a>(pickle: &'a [u8], limits: &Limits) -> Option<(&'a str, Value)> {
    small::reply(pickle, limits)
}

/// Writes a pickle of protocol 4, which every CPython from 3.4 on reads. It has no frames, which are only a hint.
///
/// What is one object in `value` is one for the reader. Where a list or dict that is an argument of a call leads back to
/// what the call makes, it may be empty when Python calls, and be filled after that. CPython's pickler has the same trouble;
/// it gets around it where the object gives it a new list each time (subclasses of list and dict in protocols 0 and 1,
/// `__getnewargs_ex__` in 2 and 3). A [`Value::Inner`] outside of a knot, and a knot of nothing but
/// tuples, frozensets and arguments, which Python cannot make either, become `None`.
pub fn dumps(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    dump_into(value, &mut out);
    out
}

/// Appends one whole pickle, as [`dumps`] makes it.
pub fn dump_into(value: &Value, out: &mut Vec<u8>) {
    write::Writer::new(out).write(value);
}

/// Appends the pickle of a request, `(ident, name, args, keywords)`.
pub fn dump_request_into(ident: Option<&str>, name: &str, args: &Args, out: &mut Vec<u8>) {
    write::Writer::new(out).write_request(ident, name, args);
}

/// Appends the pickle of a reply, `(kind, value)`.
pub fn dump_reply_into(kind: &str, value: &Value, out: &mut Vec<u8>) {
    write::Writer::new(out).write_reply(kind, value);
}

pub(super) const MANAGERS: &str = "multiprocessing.managers";

/// A `multiprocessing.managers.Token`: what names a shared object on the wire.
pub fn token(typeid: impl Into<Arc<str>>, address: &Address, ident: impl Into<Arc<str>>) -> Value {
    let state = [
        Value::Str(typeid.into()),
        address_value(address),
        Value::Str(ident.into()),
    ];
    Value::Object(Arc::new(Object {
        make: Make::New {
            class: Value::global(MANAGERS, "Token"),
            arguments: Value::tuple([]),
            keywords: None,
        },
        steps: vec![Step::State(Value::tuple(state))],
    }))
}

/// The type, the server and the name of the object, if this is a `Token`.
pub fn as_token(value: &Value) -> Option<(Arc<str>, Address, Arc<str>)> {
    let Value::Object(object) = value.stored() else {
        return None;
    };
    let (class, parts) = match (&object.make, &object.steps[..]) {
        (Make::New { class, .. }, [Step::State(state)]) => (class, state),
        (
            Make::Call {
                callable,
                arguments,
            },
            [],
        ) => (callable, arguments),
        _ => return None,
    };
    let (class, parts) = (value.part(class), value.part(parts));
    match (class.stored(), parts.stored()) {
        (Value::Global(class), Value::Tuple(items))
            if class.module == MANAGERS && class.name == "Token" =>
        {
            match &items[..] {
                [Value::Str(typeid), address, Value::Str(ident)] => Some((
                    typeid.clone(),
                    as_address(&parts.part(address))?,
                    ident.clone(),
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An address as Python has it: a tuple for TCP, `bytes` for an abstract name, else a `str`.
pub fn address_value(address: &Address) -> Value {
    let path = match address {
        Address::Tcp(host, port) => {
            return Value::tuple([Value::from(&**host), Value::Int(i64::from(*port))]);
        }
        Address::Unix(path) => path.as_os_str().as_bytes(),
    };
    if path.first() == Some(&0) {
        return Value::Bytes(path.into());
    }
    match std::str::from_utf8(path) {
        Ok(path) => Value::from(path),
        Err(_) => Value::Surrogates(escaped(path).into()),
    }
}

/// The address, if this is one. No host has a name of more than 255 bytes, and no Unix socket; a long text is none, so that
/// the addresses of many tokens take no more than a small multiple of their pickle.
pub fn as_address(value: &Value) -> Option<Address> {
    const LONGEST: usize = 255;
    let unix = |path: &[u8]| Some(Address::Unix(PathBuf::from(OsStr::from_bytes(path))));
    match value.stored() {
        Value::Tuple(parts) => match &parts[..] {
            [Value::Str(host), Value::Int(port)] if host.len() <= LONGEST => {
                Some(Address::Tcp(host.to_string(), u16::try_from(*port).ok()?))
            }
            _ => None,
        },
        Value::Str(path) if path.len() <= LONGEST => unix(path.as_bytes()),
        Value::Bytes(path) if path.len() <= LONGEST => unix(path),
        // A byte is three here.
        Value::Surrogates(text) if text.len() <= 3 * LONGEST => unix(&unescaped(text)?),
        _ => None,
    }
}

/// Python's `surrogateescape`: a byte that is no UTF-8 is the surrogate U+DC00 plus the byte.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![];
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            text.extend([0xed, 0xb0 | (byte >> 6), 0x80 | (byte & 0x3f)]);
        }
    }
    text
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match rest {
            // A surrogate is the only character that begins like this.
            [0xed, second @ 0xa0..=0xbf, third, after @ ..] => {
                if !matches!(second, 0xb2 | 0xb3) {
                    return None;
                }
                bytes.push((second << 6) | (third & 0x3f));
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
