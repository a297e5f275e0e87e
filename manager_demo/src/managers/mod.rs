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
pub mod caller;
pub mod compare;
pub mod convert;
pub mod exception;
pub mod referent;
pub mod repr;
pub mod typed;
pub mod types;
pub mod value;

// Whoever copies this uses some of them.
#[allow(unused_imports)]
pub use self::{
    args::Args,
    caller::Caller,
    compare::Key,
    exception::Exception,
    referent::{Failure, Gone, Kept, Referent, Reply, referent},
    typed::{SerdeError, from_value, to_value},
    value::{Address, Array, Global, Make, Object, Proxy, Step, Value},
};
