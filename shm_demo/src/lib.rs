//! `multiprocessing.Lock`, `Value`, `Array` and `sharedctypes`: memory that processes share, and the lock it needs.
//!
//! What differs from Python, and why:
//! - Data is reached through its lock: `value.lock()?` derefs to it, and there is no unlocked way to forget.
//! - `Drop` releases, so one release too many cannot be written; with Python it is an error when it runs.
//! - Python's Lock is a semaphore: who is killed with it blocks everybody for ever. Here the next owner is told.
//! - The children are forked, as Python's are on Linux up to 3.13: they inherit the mapping, which needs no name.

pub mod counter;
pub mod holder_killed;
pub mod lock;
// A building block of another package.
#[path = "../../fork_demo/src/multiprocessing.rs"]
pub mod multiprocessing;
pub mod rlock;
pub mod robust;
pub mod shared;
pub mod sharedctypes;
pub mod value_array;

demo::examples![
    lock,
    rlock,
    value_array,
    sharedctypes,
    counter,
    holder_killed
];
