//! Pickles: Python's values as bytes, and back.
//!
//! Reading keeps identity: an object that occurs twice in a pickle is one `Arc`, and is written once. Values that refer to
//! each other in a circle become a [`Value::Knot`]. The knot holds exactly the values on the circle, so a [`Value::Inner`]
//! is always a direct part of one of them, and every value outside the circle is an ordinary one.

mod limits;
mod names;
mod opcode;
mod read;
mod small;
mod write;

use std::sync::Arc;

use crate::value::{Keep, Proxy, Value};

pub use limits::{Error, Limits};
pub use small::{reply as small_reply, request as small_request};

/// Reads a pickle of protocol 0 to 5, within the default [`Limits`]. Nothing is executed.
///
/// Bytes after the end of the pickle are ignored, as in CPython. A class is represented by its name, and an object by
/// the calls that would construct it.
///
/// # Errors
///
/// Returns an [`Error`] if the pickle is malformed or exceeds the limits. Persistent ids, extension codes, out-of-band
/// buffers and state setters are not supported.
///
/// # Examples
///
/// ```
/// // pickle.dumps([1, "two"], protocol=0)
/// let value = pickle_value::loads(b"(lp0\nI1\naVtwo\np1\na.").unwrap();
/// assert_eq!(value.to_string(), "[1, 'two']");
/// ```
pub fn loads(pickle: &[u8]) -> Result<Value, Error> {
    loads_with(pickle, &Limits::default(), &mut |_| None)
}

/// Reads a pickle as [`loads`] does, within the given limits.
///
/// `keep` is called once for each proxy in the result, and returns the resource that the proxy owns.
///
/// A dict whose pickle has the same key twice keeps the last value, at the place of the first. Equal keys are found among
/// numbers, `str` and `bytes`; other keys count as different unless they are the same object. No pickler writes a key
/// twice.
///
/// # Errors
///
/// As [`loads`].
pub fn loads_with(
    pickle: &[u8],
    limits: &Limits,
    keep: &mut dyn FnMut(&Proxy) -> Option<Keep>,
) -> Result<Value, Error> {
    read::Reader::new(pickle, limits).read(keep)
}

/// Writes a pickle of protocol 4, which CPython reads from version 3.4 on.
///
/// An object that occurs twice in `value` is one object for the reader. If an argument of a call refers back to the object
/// that the call makes, Python may see the argument while it is still empty, as with CPython's own pickler. A
/// [`Value::Inner`] outside a knot becomes `None`, and so does a cycle that consists only of tuples, frozensets and
/// arguments, which Python cannot construct either.
///
/// # Examples
///
/// ```
/// use pickle_value::{Value, dumps, loads};
///
/// let value = Value::from((1, "two"));
/// assert_eq!(loads(&dumps(&value)).unwrap(), value);
/// ```
pub fn dumps(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    dump_into(value, &mut out);
    out
}

/// Appends the pickle that [`dumps`] returns.
pub fn dump_into(value: &Value, out: &mut Vec<u8>) {
    write::Writer::new(out).write(value);
}

/// Appends the pickle of a request, `(ident, method, args, keywords)`.
pub fn dump_request_into(
    ident: Option<&str>,
    name: &str,
    args: &[Value],
    keywords: &[(Arc<str>, Value)],
    out: &mut Vec<u8>,
) {
    write::Writer::new(out).write_request(ident, name, args, keywords);
}

/// Appends the pickle of a reply, `(kind, value)`.
pub fn dump_reply_into(kind: &str, value: &Value, out: &mut Vec<u8>) {
    write::Writer::new(out).write_reply(kind, value);
}
