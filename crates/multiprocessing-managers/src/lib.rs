//! CPython's `multiprocessing.managers`: a server that Python's clients use unchanged, and a client of Python's servers.

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
#[cfg(not(loom))]
mod sync;
#[cfg(loom)]
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
pub use caller::{Caller, Gone, Hold};
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
