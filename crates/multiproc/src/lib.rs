//! Python's `multiprocessing` in Rust.

#![warn(missing_docs)]

pub mod connection;
pub mod context;
mod error;
#[cfg(not(loom))]
mod event;
#[cfg(loom)]
#[doc(hidden)]
pub mod event;
pub mod forkserver;
pub mod pool;
pub mod process;
pub mod queues;
pub mod reduction;
pub mod resource_tracker;
mod ring;
mod shared_memory;
pub mod sharedctypes;
pub mod spawn;
mod sync;
pub mod synchronize;

pub use connection::{Connection, ConnectionError};
pub use pool::{AsyncResult, Pool, PoolError, Unordered, task};
pub use process::{Exit, ExitStatus, Process, fork};
pub use queues::{JoinableQueue, Queue, QueueError, SimpleQueue};
pub use sharedctypes::{Array, Shared, Value};
pub use spawn::{Function, init, spawn, target};
pub use synchronize::{Lock, LockError, RLock};
