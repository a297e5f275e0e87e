//! Python's `multiprocessing` in Rust.

#![warn(missing_docs)]

pub mod connection;
pub mod context;
mod error;
mod event;
pub mod forkserver;
pub mod pool;
pub mod process;
pub mod reduction;
pub mod resource_tracker;
mod ring;
mod shared_memory;
pub mod spawn;
mod sync;
pub mod synchronize;

pub use connection::{Connection, ConnectionError};
pub use pool::{AsyncResult, Pool, PoolError, Unordered, task};
pub use process::{Exit, ExitStatus, Process, fork};
pub use spawn::{Function, init, spawn, target};
