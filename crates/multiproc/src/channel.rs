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
pub trait Channel: Sized + Send + Sync {
    /// What the channel is called, so that a process can be told which one its descriptors make up.
    const NAME: &'static str;

    /// Makes a channel for `most` items, any number if 0. `counted` says whether `task_done`, `join` and `taken_by` will
    /// be used.
    fn new(most: usize, counted: bool) -> Result<Self>;

    /// The descriptors that make up the channel, in the order that [`Channel::from_fds`] takes them.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;

    /// The channel behind descriptors that another process has sent or left to this one.
    fn from_fds(fds: Vec<OwnedFd>) -> Result<Self>;

    /// Adds an item; blocks while there is no room, until `until` at most.
    fn put(&self, item: &[u8], until: Option<Instant>) -> Result<Outcome<()>>;

    /// Adds items for which there is room, and returns how many: the first so many, or an error if the first failed.
    fn put_some(&self, items: &[&[u8]]) -> Result<usize> {
        let now = Some(Instant::now());
        for (count, item) in items.iter().enumerate() {
            match self.put(item, now) {
                Ok(Outcome::Done(())) => {}
                Err(error) if count == 0 => return Err(error),
                _ => return Ok(count),
            }
        }
        Ok(items.len())
    }

    /// Takes the oldest item, into `item`; blocks while there is none, until `until` at most. A counted channel notes down
    /// that `consumer`, a number that the caller has chosen, has it.
    fn get_into(
        &self,
        item: &mut Vec<u8>,
        consumer: Option<usize>,
        until: Option<Instant>,
    ) -> Result<Outcome<()>>;

    /// Takes the oldest item, as [`Channel::get_into`].
    fn get(&self, consumer: Option<usize>, until: Option<Instant>) -> Result<Outcome<Vec<u8>>> {
        let mut item = Vec::new();
        Ok(match self.get_into(&mut item, consumer, until)? {
            Outcome::Done(()) => Outcome::Done(item),
            Outcome::TimedOut => Outcome::TimedOut,
            Outcome::Closed => Outcome::Closed,
        })
    }

    /// Takes the oldest items, `most` at most; blocks while there is none.
    fn get_some(&self, most: usize) -> Result<Outcome<Vec<Vec<u8>>>> {
        let mut items = Vec::new();
        let mut until = None;
        while items.len() < most {
            match self.get(None, until)? {
                Outcome::Done(item) => items.push(item),
                Outcome::Closed if items.is_empty() => return Ok(Outcome::Closed),
                _ => break,
            }
            until = Some(Instant::now());
        }
        Ok(Outcome::Done(items))
    }

    /// Ends the channel for all processes: nothing can be put any more, what is there can still be got.
    fn close(&self) -> Result<()>;

    fn is_empty(&self) -> Result<bool>;

    /// How many items there are, if the channel counts them.
    fn len(&self) -> Result<Option<usize>>;

    /// Which item a consumer of a counted channel has taken last; the first that was put has the number 0. Whoever
    /// was killed has taken this item or not, there is nothing in between.
    fn taken_by(&self, consumer: usize) -> Result<Option<u64>>;

    /// Says that an item that was got from a counted channel is done. False if that was said of all items already.
    fn task_done(&self) -> Result<bool>;

    /// Blocks until all items that were put into a counted channel are done, until `until` at most. Returns whether they
    /// are.
    fn join(&self, until: Option<Instant>) -> Result<bool>;
}

/// How many consumers a channel can keep apart.
pub const MARKS: usize = 256;

/// The events of a channel.
pub const PUT: usize = 0;
pub const GOT: usize = 1;
pub const ALL_DONE: usize = 2;
pub const EVENTS: usize = 3;

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
