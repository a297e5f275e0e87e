//! CPython's `multiprocessing.managers`: a server that Python's clients use unchanged, and a client of Python's servers.
//!
//! A server and a client in Rust:
//!
//! ```
//! use multiprocessing_managers::{Manager, Registry, Server};
//!
//! let server = Server::bind(&"127.0.0.1:0".parse()?, b"key", Registry::sync_manager())?.start()?;
//!
//! let manager = Manager::connect(server.address(), b"key")?;
//! let dict = manager.dict([("a", 1)])?;
//! let lock = manager.lock()?;
//! let guard = lock.lock()?;
//! dict.set("a", 2)?;
//! guard.release()?;
//! assert_eq!(dict.repr()?, "{'a': 2}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A Python client of the same server:
//!
//! ```python
//! from multiprocessing.managers import SyncManager
//!
//! m = SyncManager(('127.0.0.1', 5000), b'key')
//! m.connect()
//! print(m.dict(a=1))
//! ```
//!
//! # Where to start
//!
//! | Python | here |
//! |---|---|
//! | `multiprocessing.Manager()` | [`SyncManager`] |
//! | `SyncManager(address, authkey)`, `connect()` | [`Manager`] |
//! | `SyncManager(address, authkey).get_server()` | [`Server`], with a [`Registry`] |
//! | `BaseManager.register` | [`Registry::register`], with a [`Referent`] |
//! | `ListProxy`, `DictProxy`, `AcquirerProxy`, ... | [`ListProxy`], [`DictProxy`], [`LockProxy`], ... |
//! | `BaseProxy._callmethod` | [`Proxy::call`] |
//! | a queue of functions to call | [`Tasks`], [`remote_queue`] |
//!
//! # What differs from Python
//!
//! - Received data is never executed. An object of a class that only Python knows is stored and forwarded unchanged. A task
//!   is the name of a function that both programs have registered.
//! - The server runs in threads of the program that starts it, so it cannot outlive the program.
//! - A client killed on the server's machine does not harm the others: its locks are released, items that it had not read
//!   return to their queue, and its references are dropped. CPython's server keeps such locks locked.
//! - Peers without the key are rejected, and [`Limits`] bound everything that a client can send.
//!
//! # Features
//!
//! - `client` (default): [`Manager`] and the proxies. A worker needs only this:
//!   `default-features = false, features = ["client"]`.
//! - `server` (default): [`Server`], [`Registry`] and the shared [`types`].
//! - `serde`: `to_value` and `from_value`, for a program's own types.

#![warn(missing_docs)]

pub mod args;
#[cfg(not(loom))]
pub mod auth;
#[cfg(feature = "server")]
pub mod caller;
#[cfg(all(feature = "client", not(loom)))]
pub mod client;
#[cfg(all(feature = "server", not(loom)))]
mod clients;
#[cfg(all(feature = "server", not(loom)))]
mod collector;
#[cfg(not(loom))]
pub mod framing;
#[cfg(all(feature = "server", not(loom)))]
mod peer;
#[cfg(all(feature = "client", not(loom)))]
pub mod proxies;
#[cfg(feature = "server")]
pub mod referent;
#[cfg(all(feature = "server", not(loom)))]
pub mod registry;
#[cfg(all(feature = "client", not(loom)))]
pub mod remote_queue;
#[cfg(all(feature = "server", not(loom)))]
pub mod server;
#[cfg(all(feature = "server", not(loom)))]
mod store;
#[cfg(all(any(feature = "client", feature = "server"), not(loom)))]
mod sync;
#[cfg(loom)]
#[allow(missing_docs)]
pub mod sync;
#[cfg(all(feature = "client", feature = "server", not(loom)))]
mod sync_manager;
pub mod tasks;
#[cfg(not(loom))]
pub mod transport;
#[cfg(feature = "server")]
pub mod types;

pub use args::Args;
#[cfg(feature = "server")]
pub use caller::{Caller, Gone, Hold, Receipt};
#[cfg(all(feature = "client", not(loom)))]
pub use client::{Error, Manager, Proxy};
pub use pickle_value;
pub use pickle_value::{
    Address, Array, Exception, Global, InvalidAddress, Key, Make, Object, Step, Value,
};
#[cfg(feature = "serde")]
pub use pickle_value::{SerdeError, from_value, to_value};
#[cfg(all(feature = "client", not(loom)))]
pub use proxies::*;
#[cfg(feature = "server")]
pub use referent::{Failure, Kept, Referent, Reply, referent};
#[cfg(all(feature = "server", not(loom)))]
pub use registry::Registry;
#[cfg(all(feature = "server", not(loom)))]
pub use server::{Limits, Running, Server, Stop, Summary};
#[cfg(all(feature = "client", feature = "server", not(loom)))]
pub use sync_manager::SyncManager;
pub use tasks::{Task, TaskError, Tasks};
