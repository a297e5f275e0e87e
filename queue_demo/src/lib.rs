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

pub mod bounded;
pub mod channel;
pub mod consumer_killed;
pub mod empty_race;
pub mod event;
// Building blocks of other packages.
#[path = "../../fork_demo/src/forkserver.rs"]
pub mod forkserver;
pub mod joinable_queue;
pub mod memory;
pub mod monitor;
#[path = "../../fork_demo/src/multiprocessing.rs"]
pub mod multiprocessing;
pub mod queue;
pub mod queues;
pub mod ring;
#[path = "../../shm_demo/src/robust.rs"]
pub mod robust;
pub mod simple_queue;
pub mod socket;

demo::examples![
    queue,
    empty_race,
    bounded,
    simple_queue,
    joinable_queue,
    consumer_killed
];
