//! Python's `multiprocessing` in Rust: processes, pipes, queues, locks, shared memory and a pool.
//!
//! Threads serve most Rust programs better: they share memory and use every core. This crate is for the rest: work that
//! may crash or be killed, a memory limit per task, a C library that is not thread-safe, a Python program to be carried
//! over with its structure intact.
//!
//! ```
//! use multiproc::{Pool, init, task};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First in main: a worker process ends here, and goes no further.
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
//! # The modules are Python's
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
//! - **A killed process does no harm.** No lock stays held, no queue hangs, no pool waits for a task that nobody does. The
//!   next owner of a lock is told that its last owner died; the tasks of a killed worker fail and say so. A child never
//!   outlives its parent.
//! - **Nothing is left behind.** Shared memory has no name, so no kill at any moment leaks it.
//! - **Functions travel by name.** Parent and child are the same program, so a child finds a function by its path in it.
//!   [`init`] lists the functions that children may run, and closures that capture something cannot be among them.
//! - **A queue can be closed**, so that consumers read to its end. It has no feeder thread: when `put` returns, the item is
//!   in the queue.
//!
//! # Trust
//!
//! Processes that share a queue, a lock or a value trust each other, as threads do: one that writes to the shared memory
//! behind the library's back can crash the others. Only processes that were given the descriptor, and processes of the
//! same user, can reach that memory.
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
pub use synchronize::{Acquired, Lock, LockError, RLock};

// The README's program must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
