//! `multiprocessing.managers`: objects that a server holds and clients share, in CPython's own protocol.
//!
//! Python:  `multiprocessing.managers`: `BaseManager`, `SyncManager`, `Manager()`
//! Differs: no Python runs here, so a server calls no function that a client sends; it keeps it, and sends it on.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

pub mod args;
pub mod auth;
pub mod caller;
pub mod client;
mod clients;
mod collector;
pub mod compare;
pub mod convert;
pub mod exception;
pub mod framing;
pub mod peer;
pub mod pickle;
pub mod proxies;
pub mod referent;
pub mod registry;
pub mod remote_queue;
pub mod repr;
pub mod server;
#[cfg(test)]
mod server_tests;
mod store;
pub mod sync_manager;
pub mod tasks;
pub mod transport;
pub mod typed;
pub mod types;
pub mod value;

// Whoever copies this uses some of them.
#[allow(unused_imports)]
pub use self::{
    args::Args,
    caller::Caller,
    client::{Error, Manager, Proxy},
    compare::Key,
    exception::Exception,
    proxies::*,
    referent::{Failure, Gone, Kept, Referent, Reply, referent},
    registry::Registry,
    server::{Limits, Running, Server},
    sync_manager::SyncManager,
    tasks::{Task, TaskError, Tasks},
    typed::{SerdeError, from_value, to_value},
    value::{Address, Array, Global, Make, Object, Step, Value},
};
