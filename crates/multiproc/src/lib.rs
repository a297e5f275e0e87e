//! Python's `multiprocessing` in Rust.

#![warn(missing_docs)]

pub mod connection;
pub mod context;
mod error;
pub mod forkserver;
pub mod process;
pub mod reduction;
pub mod resource_tracker;
pub mod spawn;

pub use connection::{Connection, ConnectionError};
pub use process::{Exit, ExitStatus, Process, fork};
pub use spawn::{Function, init, spawn, target};
