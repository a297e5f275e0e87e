//! Pass items between tasks: first in first out, by priority, or last in first out.
//!
//! Python:  `asyncio.Queue`, `asyncio.PriorityQueue`, `asyncio.LifoQueue`
//! Differs: the tasks may run on several threads. A waiter is served before later callers: `try_get` does not take an item
//!          that is assigned to a waiting task. A refused item comes back with the error.
//!
//! tokio's `mpsc` has one consumer, closes when all senders are gone, and has no `join`; use it where that is enough.
//!
//! ```cargo
//! [dependencies]
//! parking_lot = "0.13"
//! tokio = { version = "1", features = ["sync"] }
//! ```

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

/// First in, first out.
pub type Queue<T> = OrderedQueue<VecDeque<T>>;

/// Smallest item first. Equal items come in any order: put tuples of a priority, a rising number, and the data.
pub type PriorityQueue<T> = OrderedQueue<BinaryHeap<Reverse<T>>>;

/// Last in, first out.
pub type LifoQueue<T> = OrderedQueue<Vec<T>>;

/// A queue for any number of producers and consumers, which share it by reference or in an `Arc`.
///
/// Every item is delivered once. Waiting tasks are woken in the order in which they came; of several woken tasks, any may be
/// the first to take an item.
///
/// A cancelled `put` has put nothing, and its item is dropped. A cancelled `get` has taken nothing; an item on its way to it
/// goes to the next waiter. A task that is cancelled or panics between `get` and [`OrderedQueue::task_done`] leaves `join`
/// waiting, as in Python. If `T`'s `Ord` panics in a [`PriorityQueue`], one item and one place may be lost.
///
/// A call takes one lock and one or two of tokio's semaphores for a moment, and wakes a waiter if there is one. As with all
/// of tokio, a task that never has to wait still yields now and then; Python's does not.
#[derive(Debug)]
pub struct OrderedQueue<O> {
    maxsize: usize,
    /// No semaphore here is ever closed, so `acquire` cannot fail.
    room: Option<Semaphore>,
    /// One permit for each item that is not reserved for a waiter: added after the item, taken before it.
    ready: Semaphore,
    /// Locked for a few instructions, never across an await.
    state: Mutex<State<O>>,
    all_done: Notify,
}

#[derive(Debug)]
struct State<O> {
    items: O,
    /// The number of items that were put and not reported as done, delivered or not.
    unfinished: usize,
}

/// A collection that decides which item is next.
pub trait Order: Default {
    type Item;
    fn put(&mut self, item: Self::Item);
    fn get(&mut self) -> Option<Self::Item>;
    fn size(&self) -> usize;
}

/// The queue is full, or its free places are reserved for waiting `put`s. Contains the item; Python's `QueueFull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull<T>(pub T);

/// The queue is empty, or its items are reserved for waiting `get`s; Python's `QueueEmpty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueEmpty;

/// `task_done` was called more often than items were put; Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTasksDone;

impl<O: Order> OrderedQueue<O> {
    /// Creates a queue of at most `maxsize` items, or without a limit if it is 0.
    pub fn new(maxsize: usize) -> OrderedQueue<O> {
        OrderedQueue {
            maxsize,
            room: (maxsize > 0).then(|| Semaphore::new(maxsize.min(Semaphore::MAX_PERMITS))),
            ready: Semaphore::new(0),
            state: Mutex::new(State {
                items: O::default(),
                unfinished: 0,
            }),
            all_done: Notify::new(),
        }
    }

    /// Adds an item, waiting while the queue is full.
    pub async fn put(&self, item: O::Item) {
        if let Some(room) = &self.room
            && let Ok(permit) = room.acquire().await
        {
            permit.forget();
        }
        self.add(item);
    }

    /// Adds an item if the queue has room; Python's `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`QueueFull`], with the item, if it has none.
    pub fn try_put(&self, item: O::Item) -> Result<(), QueueFull<O::Item>> {
        if let Some(room) = &self.room {
            match room.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(_) => return Err(QueueFull(item)),
            }
        }
        self.add(item);
        Ok(())
    }

    fn add(&self, item: O::Item) {
        let mut state = self.state.lock();
        state.items.put(item);
        state.unfinished += 1;
        drop(state);
        self.ready.add_permits(1);
    }

    /// Takes the next item, waiting while the queue is empty.
    pub async fn get(&self) -> O::Item {
        loop {
            if let Ok(permit) = self.ready.acquire().await {
                permit.forget();
            }
            // There is an item for each permit. No await may follow: a cancelled future would lose the item.
            if let Some(item) = self.take() {
                return item;
            }
        }
    }

    /// Takes the next item if the queue has one; Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`QueueEmpty`] if it has none.
    pub fn try_get(&self) -> Result<O::Item, QueueEmpty> {
        self.ready.try_acquire().map_err(|_| QueueEmpty)?.forget();
        self.take().ok_or(QueueEmpty)
    }

    fn take(&self) -> Option<O::Item> {
        let item = self.state.lock().items.get()?;
        if let Some(room) = &self.room {
            room.add_permits(1);
        }
        Some(item)
    }

    /// Reports an item as done. Never waits.
    ///
    /// # Errors
    ///
    /// [`TooManyTasksDone`] if all items are reported already.
    pub fn task_done(&self) -> Result<(), TooManyTasksDone> {
        let mut state = self.state.lock();
        state.unfinished = state.unfinished.checked_sub(1).ok_or(TooManyTasksDone)?;
        if state.unfinished == 0 {
            // Under the lock; otherwise it could wake a join that begins after the next put.
            self.all_done.notify_waiters();
        }
        Ok(())
    }

    /// Waits until every item has been reported as done. Items that are put after that moment do not delay it.
    pub async fn join(&self) {
        // Created before the check, because only futures that exist when the last item is done are woken.
        let all_done = self.all_done.notified();
        if self.state.lock().unfinished > 0 {
            all_done.await;
        }
    }

    /// Returns the number of items, which another thread may change at once. Python's `qsize()`.
    pub fn len(&self) -> usize {
        self.state.lock().items.size()
    }

    /// Returns `true` if the queue has no item. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if the queue has no room. Python's `full()`.
    pub fn is_full(&self) -> bool {
        self.maxsize > 0 && self.len() >= self.maxsize
    }
}

impl<T> Order for VecDeque<T> {
    type Item = T;

    fn put(&mut self, item: T) {
        self.push_back(item);
    }

    fn get(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl<T: Ord> Order for BinaryHeap<Reverse<T>> {
    type Item = T;

    fn put(&mut self, item: T) {
        self.push(Reverse(item));
    }

    fn get(&mut self) -> Option<T> {
        self.pop().map(|Reverse(item)| item)
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl<T> Order for Vec<T> {
    type Item = T;

    fn put(&mut self, item: T) {
        self.push(item);
    }

    fn get(&mut self) -> Option<T> {
        self.pop()
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl<T> Display for QueueFull<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is full")
    }
}

impl Display for QueueEmpty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is empty")
    }
}

impl Display for TooManyTasksDone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("task_done() called too many times")
    }
}

impl<T: Debug> Error for QueueFull<T> {}
impl Error for QueueEmpty {}
impl Error for TooManyTasksDone {}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn drain<O: Order>(queue: &OrderedQueue<O>) -> Vec<O::Item> {
        std::iter::from_fn(|| queue.try_get().ok()).collect()
    }

    #[test]
    fn each_queue_has_its_order() {
        fn put_all<O: Order<Item = u32>>() -> Vec<u32> {
            let queue = OrderedQueue::<O>::new(0);
            for item in [3, 1, 2] {
                queue.try_put(item).unwrap();
            }
            drain(&queue)
        }
        assert_eq!(put_all::<VecDeque<_>>(), [3, 1, 2]);
        assert_eq!(put_all::<BinaryHeap<_>>(), [1, 2, 3]);
        assert_eq!(put_all::<Vec<_>>(), [2, 1, 3]);
    }

    #[test]
    fn full_and_empty() {
        let queue = Queue::new(2);
        assert!(queue.is_empty() && !queue.is_full());
        assert_eq!(queue.try_get(), Err(QueueEmpty));
        queue.try_put("a").unwrap();
        queue.try_put("b").unwrap();
        assert_eq!(queue.try_put("c"), Err(QueueFull("c")));
        assert!(queue.is_full() && !queue.is_empty());
        assert_eq!(queue.len(), 2);
        assert_eq!(drain(&queue), ["a", "b"]);
        let unbounded = PriorityQueue::new(0);
        (0..1000).for_each(|n| unbounded.try_put(n).unwrap());
        assert!(!unbounded.is_full());
        assert!(!Queue::<u32>::new(usize::MAX).is_full());
    }

    #[test]
    fn who_waits_is_served_in_order_and_before_who_comes_later() {
        let queue = Queue::new(1);
        let (mut first, mut second) = (pin!(queue.get()), pin!(queue.get()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        queue.try_put(1).unwrap();
        assert_eq!(queue.try_get(), Err(QueueEmpty));
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(poll(first.as_mut()), Poll::Ready(1));
        queue.try_put(2).unwrap();
        assert_eq!(poll(second.as_mut()), Poll::Ready(2));

        queue.try_put(3).unwrap();
        let (mut first, mut second) = (pin!(queue.put(4)), pin!(queue.put(5)));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(queue.try_get(), Ok(3));
        assert_eq!(queue.try_put(6), Err(QueueFull(6)));
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(first.as_mut()).is_ready());
        assert_eq!(queue.try_get(), Ok(4));
        assert!(poll(second.as_mut()).is_ready());
        assert_eq!(queue.try_get(), Ok(5));
    }

    #[test]
    fn a_dropped_get_loses_no_item_and_no_wake_up() {
        let queue = Queue::new(0);
        // Three futures to drop: one never polled, one that waits, and one that was woken but not polled again.
        drop(queue.get());
        for served in [false, true] {
            let mut dropped = Box::pin(queue.get());
            let mut next = pin!(queue.get());
            assert!(poll(dropped.as_mut()).is_pending());
            assert!(poll(next.as_mut()).is_pending());
            if served {
                queue.try_put(1).unwrap();
                assert!(poll(next.as_mut()).is_pending());
                drop(dropped);
            } else {
                drop(dropped);
                queue.try_put(1).unwrap();
            }
            assert_eq!(poll(next.as_mut()), Poll::Ready(1));
        }
        let mut dropped = Box::pin(queue.get());
        assert!(poll(dropped.as_mut()).is_pending());
        queue.try_put(2).unwrap();
        drop(dropped);
        assert_eq!(queue.try_get(), Ok(2), "without another waiter");
    }

    #[test]
    fn a_dropped_put_has_put_nothing_and_leaves_its_room() {
        let queue = Queue::new(1);
        queue.try_put(0).unwrap();
        drop(queue.put(1));
        for served in [false, true] {
            let mut dropped = Box::pin(queue.put(1));
            let mut next = pin!(queue.put(0));
            assert!(poll(dropped.as_mut()).is_pending());
            assert!(poll(next.as_mut()).is_pending());
            if served {
                assert_eq!(queue.try_get(), Ok(0));
                assert!(poll(next.as_mut()).is_pending());
                drop(dropped);
            } else {
                drop(dropped);
                assert_eq!(queue.try_get(), Ok(0));
            }
            assert!(poll(next.as_mut()).is_ready());
        }
        let mut dropped = Box::pin(queue.put(1));
        assert!(poll(dropped.as_mut()).is_pending());
        assert_eq!(drain(&queue), [0]);
        drop(dropped);
        queue.try_put(2).unwrap();
        assert_eq!(drain(&queue), [2]);
        let done = std::iter::from_fn(|| queue.task_done().ok()).count();
        assert_eq!(done, 4, "the items of dropped puts were kept");
    }

    #[test]
    fn join_waits_for_the_last_and_may_be_dropped() {
        let queue = LifoQueue::new(0);
        assert!(poll(pin!(queue.join())).is_ready());
        assert_eq!(queue.task_done(), Err(TooManyTasksDone));
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let (mut join, mut dropped) = (pin!(queue.join()), Box::pin(queue.join()));
        assert!(poll(join.as_mut()).is_pending());
        assert!(poll(dropped.as_mut()).is_pending());
        drop(dropped);
        drain(&queue);
        queue.task_done().unwrap();
        assert!(poll(join.as_mut()).is_pending());
        queue.task_done().unwrap();
        queue.try_put(3).unwrap();
        assert!(poll(join.as_mut()).is_ready(), "all was done once");
        assert!(poll(pin!(queue.join())).is_pending());
    }

    /// A thousand tasks run on four threads, and a third is cancelled at any await. No item is lost or doubled.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thousand_tasks() {
        for maxsize in [0, 1, 7] {
            let queue = Arc::new(PriorityQueue::new(maxsize));
            let (put, got) = (Arc::new(AtomicUsize::new(0)), Arc::default());
            let mut tasks = JoinSet::new();
            let mut cancel = vec![];
            for n in 0..1000 {
                let (queue, put) = (Arc::clone(&queue), Arc::clone(&put));
                let got: Arc<Mutex<Vec<usize>>> = Arc::clone(&got);
                let handle = tasks.spawn(async move {
                    if n % 2 == 0 {
                        for item in 0..10 {
                            queue.put(n * 10 + item).await;
                            put.fetch_add(1, Ordering::Relaxed);
                        }
                    } else {
                        loop {
                            let item = queue.get().await;
                            got.lock().push(item);
                            queue.task_done().unwrap();
                            if n % 5 == 0 {
                                yield_now().await;
                            }
                        }
                    }
                });
                cancel.extend((n % 3 == 0).then_some(handle));
            }
            for handle in cancel {
                handle.abort();
                yield_now().await;
            }
            let producers = 500 - (0..1000).step_by(6).count();
            while put.load(Ordering::Relaxed) < producers * 10 {
                yield_now().await;
            }
            queue.join().await;
            // A cancelled producer may still put its last item, so this waits for it, too.
            tasks.abort_all();
            while let Some(result) = tasks.join_next().await {
                assert!(result.map_or_else(|error| error.is_cancelled(), |()| true));
            }
            let mut got = std::mem::take(&mut *got.lock());
            got.extend(drain(&queue));
            let all = got.len();
            assert_eq!(all, put.load(Ordering::Relaxed), "lost or doubled");
            got.sort();
            got.dedup();
            assert_eq!(got.len(), all, "doubled");
        }
    }
}
