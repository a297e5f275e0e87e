//! Python's `multiprocessing` in Rust.

#![warn(missing_docs)]

pub mod connection;
mod error;
mod event;
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
pub mod synchronize;
