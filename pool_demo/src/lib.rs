//! `multiprocessing.Pool`: worker processes that run tasks.
//!
//! What differs from Python, and why:
//! - A task is a type with a name, its fields are the arguments: no function crosses into another process.
//! - The workers are this program, spawned again. So a program with threads can start and replace them; Python forks.
//! - A killed worker's task fails with an error that names the signal, and the worker is replaced. Python's caller waits
//!   for ever. A pool that cannot start workers says why.
//! - Waiting tasks of a terminated pool fail; Python's callers wait for ever.
//! - For work that only wants to be fast, see thread_pool: in Rust, threads use all cores.

pub mod apply;
pub mod apply_async;
pub mod callbacks;
// Building blocks of other packages.
#[path = "../../queue_demo/src/channel.rs"]
pub mod channel;
#[path = "../../queue_demo/src/event.rs"]
pub mod event;
pub mod get_timeout;
pub mod long_tasks;
pub mod map;
pub mod map_async;
pub mod map_chunksize;
#[path = "../../queue_demo/src/memory.rs"]
pub mod memory;
#[path = "../../queue_demo/src/monitor.rs"]
pub mod monitor;
#[path = "../../fork_demo/src/multiprocessing.rs"]
pub mod multiprocessing;
pub mod pool;
#[path = "../../queue_demo/src/ring.rs"]
pub mod ring;
#[path = "../../shm_demo/src/robust.rs"]
pub mod robust;
#[path = "../../queue_demo/src/socket.rs"]
pub mod socket;
pub mod task_error;
pub mod thread_pool;
pub mod worker_killed;

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
    thread_pool
];
