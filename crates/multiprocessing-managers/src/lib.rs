//! `multiprocessing.managers`: objects that a server holds and clients share, in CPython's own protocol.
//!
//! Python:  `multiprocessing.managers`: `BaseManager`, `SyncManager`, `Manager()`
//! Differs: no Python runs here, so a server calls no function that a client sends; it keeps it, and sends it on.
//!
//! Copy the folder whole, with the dependencies below, and write `mod managers;`. From the bytes up:
//!
//! | file | what it is |
//! |---|---|
//! | `transport.rs` | sockets of TCP and of Unix, and the text of an [`Address`] |
//! | `framing.rs` | messages on a stream, each with its length |
//! | `auth.rs` | both ends prove that they have the key |
//! | `pickle/` | values as bytes, and back |
//! | `value.rs`, `exception.rs`, `args.rs` | Python's values, its exceptions, the arguments of a call |
//! | `compare.rs`, `repr.rs` | `==`, `hash`, `<`, `repr` of values, as in Python |
//! | `convert.rs`, `typed.rs` | Rust's values as Python's, by `From` and by serde |
//! | `referent.rs`, `caller.rs` | what a server holds, and who calls it and may have to wait |
//! | `types/` | list, dict, Namespace, Lock, ..., Array: what a [`SyncManager`] can make |
//! | `registry.rs` | the names by which a server makes objects: `register` |
//! | `store.rs`, `collector.rs` | which objects there are, and for how long |
//! | `peer.rs`, `clients.rs` | which processes the clients are, and what is given back when one is killed |
//! | `server.rs` | the server: Python's `get_server()` |
//! | `client.rs`, `proxies.rs` | the client: [`Manager`], [`Proxy`], and proxies with the methods of their types |
//! | `sync_manager.rs` | a server in this process with its first client: `Manager()` |
//! | `tasks.rs`, `remote_queue.rs` | functions by name; the notes' `RemoteQueueServer` and `RemoteQueueClient` |
//!
//! Its tests need fastrand, proptest, serde_bytes and tempfile, too.
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
    server::{Limits, Running, Server, Stop, Summary},
    sync_manager::SyncManager,
    tasks::{Task, TaskError, Tasks},
    typed::{SerdeError, from_value, to_value},
    value::{Address, Array, Global, Make, Object, Step, Value},
};
