//! Pass items between threads in a queue that knows when all of them are done.
//!
//! Python:  `queue.Queue`
//! Differs: the queue has two ends. Dropping the last [`Producer`] closes it: consumers read to its end and return, where
//!          Python's wait forever as daemon threads, or get a sentinel. After the last [`Consumer`] is dropped, `put` fails
//!          and returns the item. If a consumer panics in the middle of an item, `join` fails at once; Python's `join`
//!          waits forever. A worker that puts items itself owns a producer, so it never sees the end: after `join`, put a
//!          sentinel for each such worker.
//!
//! If no thread calls `join`, use a crossbeam-channel directly; this queue is built on one.
//!
//! ```cargo
//! [dependencies]
//! crossbeam-channel = "0.5"
//! parking_lot = "0.13"
//! ```

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use parking_lot::{Condvar, Mutex};

/// Creates a queue of at most `maxsize` items, or without a limit if it is 0.
///
/// Every item is delivered once, those of one producer in order. A call that waits spins for some microseconds and then
/// sleeps. Of several that wait, any may be first.
///
/// It costs as much as crossbeam's channel, and one atomic addition for each put and each `task_done`.
pub fn queue<T>(maxsize: usize) -> (Producer<T>, Consumer<T>) {
    let (sender, receiver) = match maxsize {
        0 => crossbeam_channel::unbounded(),
        _ => crossbeam_channel::bounded(maxsize),
    };
    let tasks = Arc::new(Tasks {
        unfinished: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
        abandoned: AtomicBool::new(false),
        lock: Mutex::new(()),
        changed: Condvar::new(),
    });
    let consumers = Arc::new(Consumers(Arc::clone(&tasks)));
    let consumer = Consumer {
        items: receiver,
        in_hand: Cell::new(0),
        consumers,
    };
    let items = sender;
    (Producer { items, tasks }, consumer)
}

/// The end of a queue that puts items. A clone is another producer of the same queue.
#[derive(Debug)]
pub struct Producer<T> {
    items: Sender<T>,
    tasks: Arc<Tasks>,
}

/// The end of a queue that gets items. Every thread needs its own: a clone is another consumer of the same queue.
#[derive(Debug)]
pub struct Consumer<T> {
    items: Receiver<T>,
    /// The number of items that this consumer got and has not reported as done.
    in_hand: Cell<usize>,
    /// Declared after `items`, so that no item can be put any more when `abandoned` is set.
    consumers: Arc<Consumers>,
}

/// The state that `join` waits for.
#[derive(Debug)]
struct Tasks {
    /// The number of items that were put, or are being put, and are not reported as done.
    unfinished: AtomicUsize,
    /// Set when a consumer was dropped with an unfinished item.
    lost: AtomicBool,
    /// Set when the last consumer was dropped.
    abandoned: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

/// Shared by all consumers; dropped with the last of them.
#[derive(Debug)]
struct Consumers(Arc<Tasks>);

/// The reason why an item was not put, and the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// The queue had no room in time; Python's `queue.Full`.
    Full(T),
    /// The queue has no consumer any more.
    Closed(T),
}

/// The reason why no item was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetError {
    /// The queue had no item in time; Python's `queue.Empty`.
    Empty,
    /// The queue is empty and has no producer any more; Python 3.13's `queue.ShutDown`.
    Closed,
}

/// `task_done` was called more often than the consumer got items; Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTasksDone;

/// Some items are not done, and no consumer will do them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished;

impl<T> Producer<T> {
    /// Adds an item, blocking while the queue is full.
    ///
    /// # Errors
    ///
    /// [`PutError::Closed`] if the queue has no consumer, also if the last one is dropped during the wait.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.count(|| self.items.send(item).map_err(|e| PutError::Closed(e.0)))
    }

    /// Adds an item, waiting for room at most this long; Python's `put(item, timeout=...)`.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if the queue has no room in time, [`PutError::Closed`] if it has no consumer.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        let put = || self.items.send_timeout(item, timeout);
        self.count(|| {
            put().map_err(|error| match error {
                SendTimeoutError::Timeout(item) => PutError::Full(item),
                SendTimeoutError::Disconnected(item) => PutError::Closed(item),
            })
        })
    }

    /// Adds an item if the queue has room; Python's `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if the queue has no room, [`PutError::Closed`] if it has no consumer.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.count(|| {
            self.items.try_send(item).map_err(|error| match error {
                TrySendError::Full(item) => PutError::Full(item),
                TrySendError::Disconnected(item) => PutError::Closed(item),
            })
        })
    }

    /// Counts an item before it is put, because a consumer may be done with it before `put` returns.
    fn count(&self, put: impl FnOnce() -> Result<(), PutError<T>>) -> Result<(), PutError<T>> {
        self.tasks.unfinished.fetch_add(1, Ordering::Relaxed);
        put().inspect_err(|_| self.tasks.finish(1))
    }

    /// Blocks until every item has been reported as done.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] as soon as a consumer is dropped with an unfinished item, for instance by a panic. Also if all
    /// consumers are gone and an item is left, even one that another producer's `put` is just failing to add.
    pub fn join(&self) -> Result<(), Unfinished> {
        let tasks = &self.tasks;
        let mut left = 0;
        let pending = |_: &mut ()| {
            left = tasks.unfinished.load(Ordering::Acquire);
            let over =
                tasks.lost.load(Ordering::Relaxed) || tasks.abandoned.load(Ordering::Relaxed);
            left > 0 && !over
        };
        tasks.changed.wait_while(&mut tasks.lock.lock(), pending);
        if left > 0 || tasks.lost.load(Ordering::Relaxed) {
            return Err(Unfinished);
        }
        Ok(())
    }

    /// Returns the number of waiting items, which other threads may change at once. Python's `qsize()`.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns `true` if no item waits, which other threads may change at once. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Consumer<T> {
    /// Takes the first item, blocking while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] if the queue is empty and has no producer, also if the last one is dropped during the wait.
    pub fn get(&self) -> Result<T, GetError> {
        self.hand(self.items.recv().map_err(|_| GetError::Closed))
    }

    /// Takes the first item, waiting for it at most this long; Python's `get(timeout=...)`.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if no item arrives in time, [`GetError::Closed`] if none can arrive.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        let got = self.items.recv_timeout(timeout);
        self.hand(got.map_err(|error| match error {
            RecvTimeoutError::Timeout => GetError::Empty,
            RecvTimeoutError::Disconnected => GetError::Closed,
        }))
    }

    /// Takes the first item if the queue has one; Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if the queue is empty, [`GetError::Closed`] if it also has no producer.
    pub fn try_get(&self) -> Result<T, GetError> {
        self.hand(self.items.try_recv().map_err(|error| match error {
            TryRecvError::Empty => GetError::Empty,
            TryRecvError::Disconnected => GetError::Closed,
        }))
    }

    fn hand(&self, got: Result<T, GetError>) -> Result<T, GetError> {
        got.inspect(|_| self.in_hand.set(self.in_hand.get() + 1))
    }

    /// Reports one of this consumer's items as done. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TooManyTasksDone`] if all its items are reported already.
    pub fn task_done(&self) -> Result<(), TooManyTasksDone> {
        let left = self.in_hand.get().checked_sub(1);
        self.in_hand.set(left.ok_or(TooManyTasksDone)?);
        self.consumers.0.finish(1);
        Ok(())
    }

    /// Returns the number of waiting items, which other threads may change at once. Python's `qsize()`.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns `true` if no item waits, which other threads may change at once. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Producer<T> {
        Producer {
            items: self.items.clone(),
            tasks: Arc::clone(&self.tasks),
        }
    }
}

impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Consumer<T> {
        Consumer {
            items: self.items.clone(),
            in_hand: Cell::new(0),
            consumers: Arc::clone(&self.consumers),
        }
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let tasks = &self.consumers.0;
        if self.in_hand.get() > 0 {
            tasks.lost.store(true, Ordering::Relaxed);
            tasks.notify();
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
        self.0.notify();
    }
}

impl Tasks {
    /// Everything that a consumer did happens before the return of `join`.
    fn finish(&self, count: usize) {
        if self.unfinished.fetch_sub(count, Ordering::Release) == count {
            self.notify();
        }
    }

    /// Locks before it notifies: `join` checks under the lock, so it has seen the change or is waiting by now.
    fn notify(&self) {
        drop(self.lock.lock());
        self.changed.notify_all();
    }
}

impl<T> Display for PutError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutError::Full(_) => "the queue is full",
            PutError::Closed(_) => "the queue has no consumer any more",
        })
    }
}

impl Display for GetError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GetError::Empty => "the queue is empty",
            GetError::Closed => "the queue is closed",
        })
    }
}

impl Display for TooManyTasksDone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("task_done() called too many times")
    }
}

impl Display for Unfinished {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("consumers have ended before all items were done")
    }
}

impl<T: Debug> Error for PutError<T> {}
impl Error for GetError {}
impl Error for TooManyTasksDone {}
impl Error for Unfinished {}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn every_item_is_got_once_and_in_order() {
        for maxsize in [0, 1, 3] {
            let (producer, consumer) = queue(maxsize);
            let consumers = [consumer.clone(), consumer].map(|consumer| {
                thread::spawn(move || {
                    let got: Vec<(u32, u32)> = std::iter::from_fn(|| consumer.get().ok()).collect();
                    for producer in 0..2 {
                        let its = got.iter().filter(|item| item.0 == producer);
                        assert!(its.is_sorted(), "out of order");
                    }
                    got
                })
            });
            for (number, producer) in (0..).zip([producer.clone(), producer]) {
                thread::spawn(move || {
                    (0..1000).for_each(|n| producer.put((number, n)).unwrap());
                });
            }
            let mut got = consumers.map(|consumer| consumer.join().unwrap()).concat();
            got.sort();
            let all = (0..2).flat_map(|producer| (0..1000).map(move |n| (producer, n)));
            assert!(all.eq(got));
        }
    }

    #[test]
    fn a_full_queue_refuses_and_gives_the_item_back() {
        let (producer, consumer) = queue(1);
        producer.put("first").unwrap();
        assert_eq!(producer.try_put("second"), Err(PutError::Full("second")));
        let begun = Instant::now();
        let refused = producer.put_timeout("second", SHORT);
        assert_eq!(refused, Err(PutError::Full("second")));
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(producer.len(), 1);
        thread::scope(|scope| {
            scope.spawn(|| producer.put("second").unwrap());
            assert_eq!(consumer.get(), Ok("first"));
            assert_eq!(consumer.get(), Ok("second"));
        });
        // What was refused is not waited for.
        (0..2).for_each(|_| consumer.task_done().unwrap());
        producer.join().unwrap();
    }

    #[test]
    fn an_empty_queue_says_so_in_time() {
        let (producer, consumer) = queue(0);
        assert_eq!(consumer.try_get(), Err(GetError::Empty));
        let begun = Instant::now();
        assert_eq!(consumer.get_timeout(SHORT), Err(GetError::Empty));
        assert!(begun.elapsed() >= SHORT);
        thread::scope(|scope| {
            scope.spawn(|| producer.put(1).unwrap());
            assert_eq!(consumer.get_timeout(Duration::MAX), Ok(1));
        });
    }

    #[test]
    fn without_producers_what_is_left_is_got_and_then_the_end() {
        let (producer, consumer) = queue(0);
        producer.put(1).unwrap();
        drop(producer);
        assert_eq!(consumer.get(), Ok(1));
        assert_eq!(consumer.get(), Err(GetError::Closed));
        assert_eq!(consumer.try_get(), Err(GetError::Closed));
        assert_eq!(consumer.get_timeout(SHORT), Err(GetError::Closed));
    }

    #[test]
    fn without_consumers_items_come_back() {
        let (producer, consumer) = queue(1);
        producer.put(1).unwrap();
        let blocked = {
            let producer = producer.clone();
            thread::spawn(move || producer.put(2))
        };
        thread::sleep(SHORT);
        drop(consumer);
        assert_eq!(blocked.join().unwrap(), Err(PutError::Closed(2)));
        assert_eq!(producer.try_put(3), Err(PutError::Closed(3)));
        assert_eq!(producer.put_timeout(4, SHORT), Err(PutError::Closed(4)));
        assert_eq!(producer.join(), Err(Unfinished));
    }

    #[test]
    fn join_returns_when_all_is_done() {
        let (producer, consumer) = queue(0);
        producer.join().unwrap();
        assert_eq!(consumer.task_done(), Err(TooManyTasksDone));
        let done = Arc::new(AtomicUsize::new(0));
        (0..100).for_each(|item| producer.put(item).unwrap());
        for consumer in [(); 4].map(|()| consumer.clone()) {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                while consumer.get().is_ok() {
                    done.fetch_add(1, Ordering::Relaxed);
                    consumer.task_done().unwrap();
                }
                assert_eq!(consumer.task_done(), Err(TooManyTasksDone));
            });
        }
        producer.join().unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_consumer_that_panics_does_not_leave_join_waiting() {
        let (producer, consumer) = queue(0);
        (0..2).for_each(|item| producer.put(item).unwrap());
        let other = consumer.clone();
        let panicked = thread::spawn(move || {
            consumer.get().unwrap();
            std::panic::resume_unwind(Box::new("in the middle of it"));
        });
        assert_eq!(producer.join(), Err(Unfinished));
        assert!(panicked.join().is_err());
        // The others go on, and the loss is not forgotten.
        other.get().unwrap();
        other.task_done().unwrap();
        assert_eq!(producer.join(), Err(Unfinished));
    }
}
