//! `multiprocessing.Lock`, `Value`, `Array` and `sharedctypes`: memory that processes share, and its lock.
//!
//! What differs from Python, and why:
//! - Shared data is reached through its lock: `value.lock()?` dereferences to it. Access without the lock does not
//!   compile.
//! - Dropping the guard releases the lock, so a second release does not compile; in Python it fails at run time.
//! - Python's Lock is a semaphore: when its holder is killed, all others wait forever. Here the next owner is told.
//! - The memory has no name, so a kill leaves nothing behind. Children inherit it by fork, or get it as an argument.
//!
//! by_hand shares memory with the shared_memory crate alone, and lists what the library adds.

pub mod by_hand;
pub mod counter;
pub mod holder_killed;
pub mod lock;
pub mod primes;
pub mod rlock;
pub mod sharedctypes;
pub mod value_array;

demo::examples![
    lock,
    rlock,
    value_array,
    sharedctypes,
    counter,
    holder_killed,
    by_hand,
    primes
];
