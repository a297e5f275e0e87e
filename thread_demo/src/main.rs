//! `threading` and `queue`: threads, what they share, and what they keep to themselves.
//!
//! What differs from Python, and why:
//! - Threads run at the same time, on all cores: there is no GIL. What they share is therefore behind a lock, or atomic, or
//!   not written to; anything else does not compile.
//! - A lock owns what it guards, and the guard that `lock` returns gives it back when it goes out of scope.
//! - Every thread is a daemon thread: the end of `main` ends the program. Who wants to wait joins, or uses a scope.
//! - A panic in a thread comes out of its `join`; an exception in a Python thread is only printed.

mod all_cores;
mod bounded_queue;
mod daemon;
mod lock;
mod periodic_timer;
mod queue;
mod scoped;
mod select;
mod thread_function;
mod thread_local;
// It can do more than these examples ask of it.
#[allow(dead_code)]
mod thread_queue;
mod thread_subclass;
mod timer;
mod timers;
mod wait_group;

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
