//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.
//!
//! What differs from Python, and why:
//! - The protocol is CPython's own, so a Python program may be at the other end, unchanged. What comes in is never
//!   executed: an object of a class that only Python knows is kept, and sent on as it came.
//! - A server is a few threads of the program that starts it, no process of its own, so it cannot be left behind. One
//!   that others share, `serve`, is a program.
//! - A task is the name of a function that both programs have registered, with its arguments; a closure cannot travel,
//!   nor can it in Python. A name that is not registered is refused, where Python imports it and calls it.
//! - A child is started anew, not forked: a pipe tells it where the server is, and which objects it is to take.
//! - A client that is killed on the server's machine takes nothing with it: what it waited for goes to others, its lock
//!   is released, what it referred to is forgotten. CPython's server hands a dead client locks and items, and never gets
//!   them back. A `Semaphore` stays taken, because it may be a signal; a `BoundedSemaphore` does not.
//! - Who has not shown that it knows the key is not listened to, and there is a limit to whatever a client can send.

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
