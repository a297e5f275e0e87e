//! `Channel`: what a queue needs of its transport. There are two, `socket` and `ring`.
//!
//! Python:  the pipe, the locks and the semaphore inside `multiprocessing.Queue`
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::Result;

/// Carries byte strings between any number of producers and consumers in any processes.
///
/// Items arrive whole, each at one consumer, those of one producer in their order. A process that is killed leaves no
/// lock held; at most the one item that it was taking or had taken goes with it.
pub trait Channel: Sized {
    /// Makes a channel for `most` items, any number if 0. `counted` says whether `task_done` and `join` will be used.
    fn new(most: usize, counted: bool) -> Result<Self>;

    /// The descriptors that make up the channel, in the order that [`Channel::from_fds`] takes them.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;

    /// The channel behind descriptors that another process has sent or left to this one.
    fn from_fds(fds: Vec<OwnedFd>) -> Result<Self>;

    /// Adds an item; blocks while there is no room, until `until` at most.
    fn put(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>>;

    /// Takes the oldest item; blocks while there is none, until `until` at most.
    fn get(&self, until: Option<Instant>) -> Result<Outcome<Vec<u8>>>;

    /// Ends the channel for all processes: nothing can be put any more, what is there can still be got.
    fn close(&self) -> Result<()>;

    /// How many items there are, if the channel counts them.
    fn len(&self) -> Result<Option<usize>>;

    fn is_empty(&self) -> Result<bool>;

    /// Says that an item that was got is done. False if that was said of all items already.
    fn task_done(&self) -> Result<bool>;

    /// Blocks until all items that were put are done.
    fn join(&self) -> Result<()>;
}

/// What has come of a `put` or `get`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T> {
    Done(T),
    /// There was no room, or no item, in time.
    TimedOut,
    /// The channel is closed, and for `get`, empty.
    Closed,
}
