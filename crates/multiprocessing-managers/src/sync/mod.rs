//! Locks, the clock and `poll`: the system's, or, with `--cfg loom`, loom's and a model.

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub use model::*;

#[cfg(not(loom))]
mod system {
    pub use std::sync::{Mutex, MutexGuard};

    #[cfg(feature = "server")]
    pub use std::os::fd::{AsFd, OwnedFd};
    #[cfg(feature = "server")]
    pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    #[cfg(feature = "server")]
    pub use std::sync::{Arc, OnceLock, Weak};
    #[cfg(feature = "server")]
    pub use std::time::Instant;

    #[cfg(feature = "server")]
    pub use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    #[cfg(feature = "server")]
    pub use rustix::io::{Errno, read, write};
}
#[cfg(not(loom))]
pub use system::*;

/// Locks the mutex, also if a thread panicked while it held it: no statement under these locks that can panic leaves
/// half a change behind.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
