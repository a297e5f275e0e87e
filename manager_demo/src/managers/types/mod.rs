//! What a server holds: the types of `SyncManager`.

mod line;
mod timeout;

pub mod barrier;
pub mod condition;
pub mod event;
pub mod lock;
pub mod queue;
pub mod rlock;
pub mod semaphore;

#[cfg(test)]
mod trial;

// Whoever copies this uses some of them.
#[allow(unused_imports)]
pub use self::{
    barrier::Barrier, condition::Condition, event::Event, lock::Lock, queue::Queue, rlock::RLock,
    semaphore::Semaphore,
};
