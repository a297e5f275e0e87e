//! Python's `multiprocessing` in Rust: processes, pipes, queues, locks, shared memory and a pool.
//!
//! Most Rust programs are better off with threads, which share memory and use every core. Use this crate when work may
//! crash or be killed, when each task needs its own memory limit, when a C library is not thread-safe, or when you port a
//! Python program and want to keep its structure.
//!
//! ```
//! use multiproc::{Pool, init, task};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Call it first in main: a worker process never returns from it.
//!     init([task(square)]);
//!     let pool = Pool::new()?;
//!     assert_eq!(pool.map(square, [1, 2, 3], None)?, [1, 4, 9]);
//!     Ok(())
//! }
//!
//! fn square(number: u64) -> Result<u64, String> {
//!     number.checked_mul(number).ok_or(format!("the square of {number} is too large"))
//! }
//! ```
//!
//! # Modules
//!
//! | Python | here |
//! |---|---|
//! | `os.fork()`, `Process` under `fork` | [`fork`] |
//! | `Process(target=f, args=(a,))` under `spawn` | [`spawn`](spawn()) |
//! | `Process` under `forkserver` | [`forkserver::ForkServer`] |
//! | `set_start_method`, `get_context` | [`context`] |
//! | `freeze_support()` and `if __name__ == '__main__'` | [`init`] |
//! | `Pipe()` | [`Connection::pair`] |
//! | `Queue`, `JoinableQueue`, `SimpleQueue` | [`queues`] |
//! | `Lock`, `RLock` | [`synchronize`] |
//! | `Value`, `Array`, `sharedctypes` | [`sharedctypes`] |
//! | `Pool` | [`Pool`] |
//! | `resource_tracker` | [`resource_tracker`] |
//! | `multiprocessing.managers` | the crate `multiprocessing-managers` |
//!
//! # What differs from Python
//!
//! - **A killed process does not block the others.** Its locks are released, and the next owner is told that the last one
//!   died. Queues keep working. The tasks of a killed pool worker fail with an error. A child never outlives its parent.
//! - **Nothing leaks.** Shared memory has no name, so the kernel frees it even if every process is killed.
//! - **Functions are sent by name.** Parent and child are the same program, so a child finds a function by its path.
//!   [`init`] lists the functions that children may run; closures that capture variables are not allowed.
//! - **A queue can be closed**, and consumers then drain it. There is no feeder thread: when `put` returns, the item is in
//!   the queue.
//!
//! # Trust
//!
//! Processes that share a queue, a lock or a value trust each other, as threads do: a process that writes to the shared
//! memory directly can crash the others. Only processes of the same user, and processes that received the descriptor,
//! can access that memory.
//!
//! # Platform
//!
//! Linux: memfd, futexes, robust mutexes, pidfds and the parent-death signal.

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
mod init;
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
pub use init::init;
pub use pool::{AsyncResult, Pool, PoolError, Unordered, task};
pub use process::{Exit, ExitStatus, Process, fork};
pub use queues::{JoinableQueue, Queue, QueueError, SimpleQueue};
pub use sharedctypes::{Array, Shared, Value};
pub use spawn::{Function, spawn, target};
pub use synchronize::{Acquired, Lock, LockError, RLock};

// Compiles the README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
