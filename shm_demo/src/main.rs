//! `multiprocessing.Lock`, `Value`, `Array` and `sharedctypes`: memory that processes share, and the lock it needs.
//!
//! What differs from Python, and why:
//! - Data is reached through its lock: `value.lock()?` derefs to it, and there is no unlocked way to forget.
//! - `Drop` releases, so one release too many cannot be written; with Python it is an error when it runs.
//! - Python's Lock is a semaphore: who is killed with it blocks everybody for ever. Here the next owner is told.
//! - The children are forked, as Python's are on Linux up to 3.13: they inherit the mapping, which needs no name.

mod by_hand;
mod counter;
mod holder_killed;
mod lock;
// A building block of fork_demo, which starts processes in more ways than these examples do.
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
mod rlock;
mod robust;
mod shared;
mod sharedctypes;
mod value_array;

demo::examples![
    lock,
    rlock,
    value_array,
    sharedctypes,
    counter,
    holder_killed,
    by_hand
];
