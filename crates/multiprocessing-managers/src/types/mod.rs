//! What a server holds: the types of `SyncManager`.
//!
//! A container keeps its values under a lock of its own, and lets go of no value while it holds it: the last clone of a
//! proxy's value may end another object. Nothing done under such a lock calls another object: comparing two values, or
//! showing them, looks at nothing but them, and a proxy is only its name. What iterates over a proxy does so before.

mod index;
#[cfg(not(loom))]
mod line;
#[cfg(loom)]
pub mod line;
mod sort;
mod timeout;
mod values;

mod array;
mod barrier;
mod condition;
mod dict;
mod event;
mod list;
mod lock;
mod namespace;
mod queue;
mod rlock;
mod semaphore;
mod shared_value;

#[cfg(test)]
mod trial;

pub use self::{
    array::SharedArray, barrier::Barrier, condition::Condition, dict::Dict, event::Event,
    list::List, lock::Lock, namespace::Namespace, queue::Queue, rlock::RLock, semaphore::Semaphore,
    shared_value::SharedValue,
};
