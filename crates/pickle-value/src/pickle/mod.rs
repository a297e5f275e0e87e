//! Pickles: Python's values as bytes, and back. Nothing is ever executed.
//!
//! Python:  `pickle.loads`, `pickle.dumps`, and `multiprocessing`'s `ForkingPickler`
//! Differs: a class is only a name, and an object the calls that would make it; both are kept and written again.
//!
//! What is read keeps its identity: what occurs twice in a pickle is one `Arc`, and written once. What refers to itself is
//! a [`Value::Knot`]. Every node that lies on a cycle is one of the knot's own, so that a [`Value::Inner`] is always a
//! direct part of a node, and what lies outside of the cycle is an ordinary value.

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
    read::Reader::new(pickle, limits).read(keep)
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
