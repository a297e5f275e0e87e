//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.
//!
//! The examples use the crate `multiprocessing-managers`. What differs from Python, and why:
//! - The protocol is CPython's own, so the other end may be an unchanged Python program. Received data is never executed:
//!   an object of a class that only Python knows is stored and sent on unchanged.
//! - A server runs in threads of the program that starts it, so it cannot outlive the program. `serve` is a server that
//!   several programs share.
//! - A task is the name of a function that both programs have registered, with its arguments. Other names are refused;
//!   Python imports and calls them.
//! - A child is a new process. It reads the server's address and its objects from a pipe.
//! - A client that is killed on the server's machine blocks no other client: items that it waited for go to other
//!   clients, and its locks and references are released. CPython's server never gets them back. A `Semaphore`
//!   keeps the client's share, because it may count signals; a `BoundedSemaphore` gives it back.
//! - The server rejects a peer without the key, and limits the size of everything that a client sends.

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
