//! `multiprocessing.Pool`: worker processes that run tasks.
//!
//! What differs from Python, and why:
//! - The workers are this program, started again, so a program with threads can start and replace them; Python forks.
//!   Call `init` first in `main`: it turns such a process into a worker.
//! - A task is a named function. Its argument and its result travel as bytes; a tuple stands for several arguments.
//! - When a worker is killed, its task fails with an error that names the signal, and the worker is replaced. Python's
//!   caller waits forever. A pool that cannot start workers returns the reason.
//! - The waiting tasks of a terminated pool fail; Python's callers wait forever.
//! - If the work only has to be fast, use threads: see thread_pool.
//!
//! by_hand builds a small pool on socket pairs, and lists what the library adds.

pub mod apply;
pub mod apply_async;
pub mod by_hand;
pub mod callbacks;
pub mod get_timeout;
pub mod long_tasks;
pub mod map;
pub mod map_async;
pub mod map_chunksize;
pub mod task_error;
pub mod thread_pool;
pub mod word_count;
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
    thread_pool,
    by_hand,
    word_count
];
