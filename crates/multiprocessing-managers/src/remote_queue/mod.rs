//! A task queue and a result queue, between processes and machines.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, on a `BaseManager` with two registered names
//! Differs: the server runs in threads of its program, Python's in a process of its own; so the queues and their items are
//!          still there when it is shut down and started again. Neither side calls what it gets: that is for
//!          [`Tasks`](crate::Tasks).
//!
//! Either side may be Python's. On both sides any thread may use the queues, which are proxies.

mod client;
#[cfg(feature = "server")]
mod server;

pub use client::{
    DEFAULT_AUTHKEY, GET_RESULT_Q_FUNC_NAME, GET_TASK_Q_FUNC_NAME, RemoteQueueClient,
};
#[cfg(feature = "server")]
pub use server::RemoteQueueServer;
