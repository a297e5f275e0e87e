//! The types of a `SyncManager`, which a server holds.
//!
//! Clients create and call them through proxies. A server's own program can make them too, register them, and call them
//! without a proxy, as with [`Queue`]:
//!
//! ```
//! use multiprocessing_managers::Registry;
//! use multiprocessing_managers::types::Queue;
//!
//! let tasks = Queue::unbounded();
//! let shared = tasks.clone();
//! let mut registry = Registry::new();
//! registry.register("get_tasks", move |_| Ok(shared.clone()));
//! tasks.put("one".into(), None).unwrap();
//! ```

// Each container guards its values with its own lock, and never drops a value under that lock: dropping the last clone of
// a proxy may drop another object. Code under such a lock never calls another object: comparing and showing values treat a
// proxy as a name. Iterating over a proxy happens before the lock is taken.

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
