//! `threading` and `queue`: threads, and the data that they share or keep for themselves.
//!
//! What differs from Python, and why:
//! - Threads run at the same time, on all cores: there is no GIL. So shared data is behind a lock, atomic, or read-only;
//!   anything else does not compile.
//! - A lock owns its data. `lock` returns a guard, which releases the lock at the end of its scope.
//! - Every thread is a daemon thread: the end of `main` ends the program. To wait for a thread, join it or use a scope.
//! - The `join` of a thread returns its panic as an error; an exception in a Python thread is only printed.

pub mod all_cores;
pub mod bounded_queue;
pub mod daemon;
pub mod lock;
pub mod periodic_timer;
pub mod queue;
pub mod scoped;
pub mod select;
pub mod thread_function;
pub mod thread_local;
pub mod thread_queue;
pub mod thread_subclass;
pub mod timer;
pub mod timers;
pub mod wait_group;

demo::examples![
    thread_function,
    scoped,
    thread_subclass,
    lock,
    thread_local,
    wait_group,
    all_cores,
    timer,
    periodic_timer,
    queue,
    bounded_queue,
    daemon,
    select
];
