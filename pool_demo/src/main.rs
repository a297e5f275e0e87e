//! `multiprocessing.Pool`: worker processes that run tasks.
//!
//! What differs from Python, and why:
//! - A task is a type with a name, its fields are the arguments: no function crosses into another process.
//! - The workers are this program, spawned again. So a program with threads can start and replace them; Python forks.
//! - A killed worker's task fails with an error that names the signal, and the worker is replaced. Python's caller waits
//!   for ever. A pool that cannot start workers says why.
//! - Waiting tasks of a terminated pool fail; Python's callers wait for ever.
//! - For work that only wants to be fast, see thread_pool: in Rust, threads use all cores.

mod apply;
mod apply_async;
mod by_hand;
mod callbacks;
// Building blocks of other packages, which can do more than these examples ask of them.
#[allow(dead_code)]
#[path = "../../queue_demo/src/channel.rs"]
mod channel;
#[path = "../../queue_demo/src/event.rs"]
mod event;
mod get_timeout;
mod long_tasks;
mod map;
mod map_async;
mod map_chunksize;
#[path = "../../queue_demo/src/memory.rs"]
mod memory;
#[path = "../../queue_demo/src/monitor.rs"]
mod monitor;
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
// It can do more than these examples ask of it.
#[allow(dead_code)]
mod pool;
#[path = "../../queue_demo/src/ring.rs"]
mod ring;
#[allow(dead_code)]
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
#[path = "../../queue_demo/src/socket.rs"]
mod socket;
mod task_error;
mod thread_pool;
mod worker_killed;

demo::examples![
    apply,
    apply_async,
    long_tasks,
    callbacks,
    map,
    map_chunksize,
    map_async,
    get_timeout,
    task_error,
    worker_killed,
    thread_pool,
    by_hand
];
