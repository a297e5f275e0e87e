//! A task queue and a result queue between processes and machines.
//!
//! Either side may be a Python program with a `BaseManager` that registers `get_task_queue` and `get_result_queue`. On both
//! sides any thread may use the queues, which are proxies. Neither side calls what it gets; use [`Tasks`](crate::Tasks) for
//! that. The server runs in threads of its program, so the items in the queues survive a shutdown and restart of the server.
//!
//! ```
//! use multiprocessing_managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
//!
//! let server = RemoteQueueServer::new(&"127.0.0.1:0".parse().unwrap(), b"key");
//! let client = RemoteQueueClient::new(&server.start()?, b"key");
//! client.get_task_queue()?.put("task")?;
//! assert_eq!(server.get_task_queue()?.get()?, "task".into());
//! # Ok::<(), multiprocessing_managers::Error>(())
//! ```

mod client;
#[cfg(feature = "server")]
mod server;

pub use client::{DEFAULT_AUTHKEY, RESULT_QUEUE, RemoteQueueClient, TASK_QUEUE};
#[cfg(feature = "server")]
pub use server::RemoteQueueServer;
