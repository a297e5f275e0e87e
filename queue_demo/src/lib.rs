//! `multiprocessing.Queue`, `JoinableQueue` and `SimpleQueue`: items from many processes to many processes.
//!
//! What differs from Python, and why:
//! - `close` ends a queue for all processes: a consumer reads to the end, where Python's asks `empty()` or is sent a
//!   sentinel.
//! - `put` returns when the item is in the queue, and blocks while the queue is full. Python's returns immediately and
//!   leaves the item to a thread, which dies with its process.
//! - A killed producer or consumer blocks no other process, and at most the item it was handling is lost. In Python a
//!   killed process may keep a lock that all others wait for, or leave half an item in the pipe.
//!
//! by_hand builds a queue on one kernel socket, and lists what the library adds.

pub mod bounded;
pub mod by_hand;
pub mod consumer_killed;
pub mod empty_race;
pub mod joinable_queue;
pub mod queue;
pub mod search;
pub mod simple_queue;

demo::examples![
    queue,
    empty_race,
    bounded,
    simple_queue,
    joinable_queue,
    consumer_killed,
    by_hand,
    search
];
