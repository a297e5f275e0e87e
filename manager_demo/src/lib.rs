//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.
//!
//! The examples use the crate `multiprocessing-managers`. What differs from Python, and why:
//! - The protocol is CPython's own, so the other end may be an unchanged Python program. Nothing that arrives is executed:
//!   an object of a class that only Python knows is kept, and sent on as it came.
//! - A server runs in threads of the program that starts it, so it cannot outlive the program. `serve` is a server that
//!   several programs share.
//! - A task is the name of a function that both programs have registered, with its arguments. Other names are refused;
//!   Python imports and calls them.
//! - A child is a new process. A pipe tells it where the server is and which objects to use.
//! - A client that is killed on the server's machine costs the others nothing: items that it waited for go to other
//!   clients, its locks are released, its references are forgotten. CPython's server never gets them back. A `Semaphore`
//!   keeps the client's share, because it may count signals; a `BoundedSemaphore` gives it back.
//! - A peer without the key is not listened to, and everything that a client can send is limited.

pub mod all_locks;
pub mod all_types;
pub mod dict_list;
pub mod python_peers;
pub mod queue_manager;
pub mod remote_queue;
pub mod serve;

demo::examples![
    dict_list,
    all_types,
    all_locks,
    queue_manager,
    remote_queue,
    python_peers,
    serve
];

// The README's worker must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
