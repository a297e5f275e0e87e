//! `multiprocessing.Queue`, `JoinableQueue` and `SimpleQueue`: many producers, many consumers, many processes.
//!
//! What differs from Python, and why:
//! - `close` ends a queue for everybody: a consumer reads to the end, where Python asks `empty()` or sends sentinels.
//! - `put` returns when the item is in the queue. Python's returns at once and leaves the item to a thread, which may die
//!   with the process; in exchange `put` waits here when the transport is full.
//! - A killed producer or consumer wedges nobody, and takes along at most the item in its hands. With Python it may keep
//!   a lock for ever, or leave half an item in the pipe.
//! - There are two transports behind one interface: `socket`, where the kernel keeps the items, and `ring`, in shared
//!   memory. Each example runs on either: `cargo run -p queue_demo -- queue ring`.

mod bounded;
mod by_hand;
// A pool needs more of it.
#[allow(dead_code)]
mod channel;
mod consumer_killed;
mod empty_race;
mod event;
// Building blocks of other packages, which can do more than these examples ask of them.
#[allow(dead_code)]
#[path = "../../fork_demo/src/forkserver.rs"]
mod forkserver;
mod joinable_queue;
mod memory;
mod monitor;
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
mod queue;
// A JoinableQueue can do more than the example asks of it.
#[allow(dead_code)]
mod queues;
mod ring;
#[allow(dead_code)]
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
mod simple_queue;
mod socket;

demo::examples![
    queue,
    empty_race,
    bounded,
    simple_queue,
    joinable_queue,
    consumer_killed,
    by_hand
];
