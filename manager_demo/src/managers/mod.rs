//! `multiprocessing.managers`: objects that a server holds and clients share, in CPython's own protocol.
//!
//! Python:  `multiprocessing.managers`: `BaseManager`, `SyncManager`, `Manager()`
//! Differs: no Python runs here, so a server calls no function that a client sends; it keeps it, and sends it on.
//!
//! ```cargo
//! [dependencies]
//! getrandom = { version = "0.4", default-features = false, features = ["std"] }
//! hmac = { version = "0.13", default-features = false }
//! md-5 = { version = "0.11", default-features = false }
//! nix = { version = "0.31", default-features = false, features = ["socket"] }
//! num-bigint = { version = "0.5", default-features = false, features = ["std"] }
//! num-traits = { version = "0.2", default-features = false, features = ["std"] }
//! rustix = { version = "1", default-features = false, features = ["std", "event", "net", "process"] }
//! serde = "1"
//! sha2 = { version = "0.11", default-features = false }
//! unicode-properties = { version = "0.1", default-features = false, features = ["general-category"] }
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
    server::{Limits, Running, Server, Stop, Summary},
    sync_manager::SyncManager,
    tasks::{Task, TaskError, Tasks},
    typed::{SerdeError, from_value, to_value},
    value::{Address, Array, Global, Make, Object, Step, Value},
};
