//! What a server holds: the types of `SyncManager`.
//!
//! A container keeps its values under a lock of its own, and lets go of no value while it holds it: the last clone of a
//! proxy's value may end another object. Nothing done under such a lock calls another object: comparing two values, or
//! showing them, looks at nothing but them, and a proxy is only its name. What iterates over a proxy does so before.

mod index;
mod line;
mod sort;
mod timeout;

pub mod array;
pub mod barrier;
pub mod condition;
pub mod dict;
pub mod event;
pub mod list;
pub mod lock;
pub mod namespace;
pub mod queue;
pub mod rlock;
pub mod semaphore;
pub mod shared_value;

#[cfg(test)]
mod against_python;
#[cfg(test)]
pub mod trial;

// Whoever copies this uses some of them.
#[allow(unused_imports)]
pub use self::{
    array::SharedArray, barrier::Barrier, condition::Condition, dict::Dict, event::Event,
    list::List, lock::Lock, namespace::Namespace, queue::Queue, rlock::RLock, semaphore::Semaphore,
    shared_value::SharedValue,
};

use super::compare::text;
pub use super::convert::MOST;
use super::exception::Exception;
use super::referent::referent;
use super::value::{Make, Step, Value};

/// What Python gets by iterating over the value, also if it is a proxy of an object of this server.
///
/// CPython's server asks such a proxy for one item after the other; this takes them all at once.
///
/// Errors: as [`Value::elements`], also for the object of a proxy.
pub fn elements(value: &Value) -> Result<Vec<Value>, Exception> {
    match referent(value).and_then(|object| object.elements()) {
        Some(elements) if elements.len() > MOST => Err(Exception::memory_error()),
        Some(elements) => Ok(elements),
        None => value.elements(),
    }
}

/// The keys and values of a mapping: a dict, one of the dicts of `collections`, or a proxy of a dict of this server.
pub fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    if let Some(object) = referent(value) {
        return object.pairs();
    }
    match &*value.node() {
        Value::Dict(pairs) => Some(pairs.to_vec()),
        Value::Object(object) => {
            let Make::Call {
                callable,
                arguments,
            } = &object.make
            else {
                return None;
            };
            let Value::Global(class) = &*callable.node() else {
                return None;
            };
            let name = &*class.name;
            if class.module != "collections"
                || !["OrderedDict", "defaultdict", "Counter"].contains(&name)
            {
                return None;
            }
            let mut all = match &*arguments.node() {
                Value::Tuple(arguments) if name == "Counter" => arguments.first().and_then(pairs),
                _ => None,
            }
            .unwrap_or_default();
            for step in &object.steps {
                if let Step::Set(pairs) = step {
                    all.extend_from_slice(pairs);
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// A message that ends in a `str` and a quote; Rust's cannot hold each `str`.
fn quoted(before: &str, name: &Value) -> Value {
    let text = [before.as_bytes(), text(name).unwrap_or_default(), b"'"].concat();
    Value::text(&text).unwrap_or_else(|| before.into())
}
