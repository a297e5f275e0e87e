//! `Queue`: items go from threads to threads, each to one of them, in the order in which they were put.
//!
//! Python:  `queue.Queue`
//! Differs: `close` ends the queue for everybody: a consumer reads to the end and leaves, where Python's is a daemon thread
//!          that waits for ever, or is sent a sentinel. An item that is refused comes back with the error.
//!
//! ```cargo
//! [dependencies]
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue of `T`s for any number of producers and consumers, which share it by reference or in an `Arc`.
///
/// Every item is got once; those of one producer in their order. Everything that waits sleeps, and is woken by what it
/// waits for: `put` by a `get`, `get` by a `put`, [`Queue::join`] by the last [`Queue::task_done`], all but that by
/// [`Queue::close`]. Of several that wait, any may be first.
///
/// Each `get` must be followed by one `task_done` if somebody joins; a consumer that panics in between leaves `join`
/// waiting, as with Python.
///
/// Cost: each call takes one lock; a wake-up (futex) where somebody waits.
#[derive(Debug)]
pub struct Queue<T> {
    maxsize: usize,
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    all_done: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    /// Items that were put and not yet reported as done, got or not.
    unfinished: usize,
    closed: bool,
}

/// Why an item was not put, and the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There was no room in time; Python's `queue.Full`.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

/// Why no item was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetError {
    /// There was no item in time; Python's `queue.Empty`.
    Empty,
    /// The queue is closed, and nothing is left in it.
    Closed,
}

/// `task_done` was called more often than items were put; Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTasksDone;

impl<T> Queue<T> {
    /// A queue of at most `maxsize` items; of any number if 0.
    pub fn new(maxsize: usize) -> Queue<T> {
        Queue {
            maxsize,
            state: Mutex::new(State {
                items: VecDeque::new(),
                unfinished: 0,
                closed: false,
            }),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
            all_done: Condvar::new(),
        }
    }

    /// Adds an item; blocks while there is no room.
    ///
    /// # Errors
    ///
    /// [`PutError::Closed`], also if the queue is closed while this waits.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_within(None, item)
    }

    /// Adds an item; Python's `put(item, timeout=...)`.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there is no room in time, [`PutError::Closed`].
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_within(Some(timeout), item)
    }

    /// Adds an item if there is room; Python's `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`], [`PutError::Closed`].
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_within(Some(Duration::ZERO), item)
    }

    fn put_within(&self, timeout: Option<Duration>, item: T) -> Result<(), PutError<T>> {
        let full = |state: &State<T>| self.maxsize > 0 && state.items.len() >= self.maxsize;
        let mut state = wait_while(&self.not_full, self.lock(), timeout, |state| {
            full(state) && !state.closed
        });
        if state.closed {
            return Err(PutError::Closed(item));
        }
        if full(&state) {
            return Err(PutError::Full(item));
        }
        state.items.push_back(item);
        state.unfinished += 1;
        self.not_empty.notify_one();
        Ok(())
    }

    /// Takes the first item; blocks while there is none.
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`], also if the queue is closed while this waits.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(None)
    }

    /// Takes the first item; Python's `get(timeout=...)`.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if there is no item in time, [`GetError::Closed`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Some(timeout))
    }

    /// Takes the first item if there is one; Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`], [`GetError::Closed`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Some(Duration::ZERO))
    }

    fn get_within(&self, timeout: Option<Duration>) -> Result<T, GetError> {
        let mut state = wait_while(&self.not_empty, self.lock(), timeout, |state| {
            state.items.is_empty() && !state.closed
        });
        let nothing = if state.closed {
            GetError::Closed
        } else {
            GetError::Empty
        };
        let item = state.items.pop_front().ok_or(nothing)?;
        self.not_full.notify_one();
        Ok(item)
    }

    /// Reports that an item which was got is done. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TooManyTasksDone`] if all items are done already.
    pub fn task_done(&self) -> Result<(), TooManyTasksDone> {
        let mut state = self.lock();
        state.unfinished = state.unfinished.checked_sub(1).ok_or(TooManyTasksDone)?;
        if state.unfinished == 0 {
            self.all_done.notify_all();
        }
        Ok(())
    }

    /// Blocks until every item that was put has been reported as done; closed or not.
    pub fn join(&self) {
        drop(wait_while(&self.all_done, self.lock(), None, |state| {
            state.unfinished > 0
        }));
    }

    /// Ends the queue: no item can be put any more, and consumers get what is left. A second call does nothing.
    pub fn close(&self) {
        self.lock().closed = true;
        self.not_empty.notify_all();
        self.not_full.notify_all();
    }

    /// How many items wait; another thread may change that at once. Python's `qsize()`.
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether no item waits; another thread may put one at once. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing panics under this lock while the state is not whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits while a condition holds, at most for the timeout. Who is woken looks at the condition before the time: a wake-up
/// is never wasted on one whose time is up.
fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Option<Duration>,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    let condition = |state: &mut T| condition(state);
    match timeout {
        None => condvar
            .wait_while(guard, condition)
            .unwrap_or_else(PoisonError::into_inner),
        Some(timeout) => {
            let waited = condvar.wait_timeout_while(guard, timeout, condition);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

impl<T> Display for PutError<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutError::Full(_) => "the queue is full",
            PutError::Closed(_) => "the queue is closed",
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

impl<T: Debug> Error for PutError<T> {}
impl Error for GetError {}
impl Error for TooManyTasksDone {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn every_item_is_got_once_and_in_order() {
        for maxsize in [0, 1, 3] {
            let queue = Queue::new(maxsize);
            let mut got: Vec<(u32, u32)> = thread::scope(|scope| {
                let put = |producer| (0..1000).for_each(|n| queue.put((producer, n)).unwrap());
                let get = || {
                    let got: Vec<_> = std::iter::from_fn(|| queue.get().ok()).collect();
                    for producer in 0..2 {
                        let its = got.iter().filter(|item| item.0 == producer);
                        assert!(its.is_sorted(), "out of order");
                    }
                    got
                };
                let consumers = [scope.spawn(get), scope.spawn(get)];
                let producers = [scope.spawn(move || put(0)), scope.spawn(move || put(1))];
                producers
                    .into_iter()
                    .for_each(|producer| producer.join().unwrap());
                queue.close();
                consumers.map(|consumer| consumer.join().unwrap()).concat()
            });
            got.sort();
            let all = (0..2).flat_map(|producer| (0..1000).map(move |n| (producer, n)));
            assert!(all.eq(got));
        }
    }

    #[test]
    fn a_full_queue_refuses_and_gives_the_item_back() {
        let queue = Queue::new(1);
        queue.put("first").unwrap();
        assert_eq!(queue.try_put("second"), Err(PutError::Full("second")));
        let begun = Instant::now();
        let refused = queue.put_timeout("second", SHORT);
        assert_eq!(refused, Err(PutError::Full("second")));
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(queue.len(), 1);
        thread::scope(|scope| {
            scope.spawn(|| queue.put("second").unwrap());
            assert_eq!(queue.get(), Ok("first"));
            assert_eq!(queue.get(), Ok("second"));
        });
    }

    #[test]
    fn an_empty_queue_says_so_in_time() {
        let queue = Queue::<u32>::new(0);
        assert_eq!(queue.try_get(), Err(GetError::Empty));
        let begun = Instant::now();
        assert_eq!(queue.get_timeout(SHORT), Err(GetError::Empty));
        assert!(begun.elapsed() >= SHORT);
        thread::scope(|scope| {
            scope.spawn(|| queue.put(1).unwrap());
            assert_eq!(queue.get_timeout(Duration::MAX), Ok(1));
        });
    }

    #[test]
    fn close_wakes_all_and_leaves_what_is_there() {
        let queue = Queue::new(1);
        queue.put(1).unwrap();
        thread::scope(|scope| {
            let blocked = [scope.spawn(|| queue.put(2)), scope.spawn(|| queue.put(3))];
            thread::sleep(SHORT);
            queue.close();
            let refused = blocked.map(|put| put.join().unwrap());
            assert_eq!(
                refused,
                [Err(PutError::Closed(2)), Err(PutError::Closed(3))]
            );
        });
        assert_eq!(queue.get(), Ok(1));
        assert_eq!(queue.get(), Err(GetError::Closed));
        let queue = Queue::<u32>::new(0);
        thread::scope(|scope| {
            let blocked = [(); 2].map(|()| scope.spawn(|| queue.get()));
            thread::sleep(SHORT);
            queue.close();
            assert_eq!(
                blocked.map(|get| get.join().unwrap()),
                [Err(GetError::Closed); 2]
            );
        });
    }

    #[test]
    fn join_returns_when_all_is_done() {
        let queue = Queue::new(0);
        queue.join();
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            (0..100).for_each(|item| queue.put(item).unwrap());
            for _ in 0..4 {
                scope.spawn(|| {
                    while queue.get().is_ok() {
                        done.fetch_add(1, Ordering::Relaxed);
                        queue.task_done().unwrap();
                    }
                });
            }
            queue.join();
            assert_eq!(done.load(Ordering::Relaxed), 100);
            queue.close();
        });
        assert_eq!(queue.task_done(), Err(TooManyTasksDone));
    }
}
