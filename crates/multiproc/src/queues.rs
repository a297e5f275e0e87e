//! `Queue`, `JoinableQueue` and `SimpleQueue`: typed queues between processes, over either transport.
//!
//! Python:  `multiprocessing.Queue`, `JoinableQueue`, `SimpleQueue`
//! Differs: `close` ends the queue for everybody, so a consumer reads to the end instead of asking `empty()`. There is
//!          no feeder thread: `put` returns when the item is in the queue, and so it blocks when the transport is full,
//!          after some thousand small items. Start the consumers first. A killed producer or consumer wedges nobody.
//! Needs:   channel.rs, event.rs, socket.rs (or ring.rs), memory.rs, monitor.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! serde = "1"
//! ```

use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use std::{error, fmt};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::{Channel, Outcome};

/// A queue of `T`s over the channel `C`: [`Socket`](crate::socket::Socket) or [`Ring`](crate::ring::Ring).
///
/// Every item is delivered once, whole; those of one producer in their order. A process that is killed takes along at
/// most the one item that it was getting. Forked children use the queue as it is; to others, send or leave its
/// descriptors.
///
/// Begin with the socket; both do the same, and the ring is faster, where there are many small items.
///
/// Items travel in postcard's format, which does not name the fields: `skip_serializing_if`, `untagged`, `flatten` and
/// types like `serde_json::Value` do not arrive as they were put. For bulk bytes take `serde_bytes::ByteBuf`, which is
/// copied at once; serde walks through a `Vec<u8>` byte by byte. On the ring an item has 256 MiB at most.
pub struct Queue<T, C> {
    channel: C,
    items: PhantomData<fn(T) -> T>,
}

/// A queue that knows when all its items are done.
///
/// Every `get` must be followed by [`JoinableQueue::task_done`]; a consumer that is killed in between leaves
/// [`JoinableQueue::join`] waiting, as with Python.
pub struct JoinableQueue<T, C>(Queue<T, C>);

/// A queue that can only be put to, got from, and asked whether it is empty.
pub struct SimpleQueue<T, C>(Queue<T, C>);

/// Why a queue did not do as asked.
#[derive(Debug)]
pub enum QueueError {
    /// There was no room in time; Python's `queue.Full`.
    Full,
    /// There was no item in time; Python's `queue.Empty`.
    Empty,
    /// The queue is closed; for a `get`, and empty.
    Closed,
    /// `task_done` was called more often than there were items; Python's `ValueError`.
    TooManyTasksDone,
    /// An item could not be written or read as bytes.
    Item(postcard::Error),
    /// The system refused, or the item is too large for the channel.
    Channel(anyhow::Error),
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::Full => f.write_str("the queue is full"),
            QueueError::Empty => f.write_str("the queue is empty"),
            QueueError::Closed => f.write_str("the queue is closed"),
            QueueError::TooManyTasksDone => f.write_str("task_done() called too many times"),
            QueueError::Item(error) => write!(f, "an item: {error}"),
            QueueError::Channel(error) => write!(f, "the queue's channel: {error:#}"),
        }
    }
}

impl error::Error for QueueError {}

type Result<T> = std::result::Result<T, QueueError>;

thread_local! {
    /// Memory for an item's bytes, kept from one item to the next.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The end of a timeout; none if the clock cannot show it.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The most memory that a thread keeps.
const KEPT: usize = 1 << 20;

fn buffer() -> Vec<u8> {
    let mut buffer = BUFFER.take();
    buffer.clear();
    buffer
}

fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
}

impl<T: Serialize + DeserializeOwned, C: Channel> Queue<T, C> {
    /// A queue without a limit to the number of items. How many wait at most is the transport's: more than ten thousand
    /// numbers, or some MiB.
    pub fn new() -> Result<Queue<T, C>> {
        Queue::make(0, false)
    }

    /// A queue of at most `maxsize` items; as [`Queue::new`] if 0.
    pub fn bounded(maxsize: usize) -> Result<Queue<T, C>> {
        Queue::make(maxsize, false)
    }

    fn make(maxsize: usize, counted: bool) -> Result<Queue<T, C>> {
        let channel = C::new(maxsize, counted).map_err(QueueError::Channel)?;
        Ok(Queue {
            channel,
            items: PhantomData,
        })
    }

    /// The queue's descriptors, to be sent to another process.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.channel.fds()
    }

    /// The queue behind descriptors that came from [`Queue::fds`] of another process, in their order.
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Queue<T, C>> {
        let channel = C::from_fds(fds).map_err(QueueError::Channel)?;
        Ok(Queue {
            channel,
            items: PhantomData,
        })
    }

    /// Adds an item; blocks while there is no room.
    pub fn put(&self, item: &T) -> Result<()> {
        self.put_until(item, None)
    }

    /// Adds an item; [`QueueError::Full`] if there is no room in time.
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Result<()> {
        self.put_until(item, after(timeout))
    }

    /// Adds an item, or [`QueueError::Full`]; Python's `put_nowait`.
    pub fn try_put(&self, item: &T) -> Result<()> {
        self.put_timeout(item, Duration::ZERO)
    }

    fn put_until(&self, item: &T, until: Option<Instant>) -> Result<()> {
        let bytes = postcard::to_extend(item, buffer()).map_err(QueueError::Item)?;
        let put = self.channel.put(&bytes, until);
        give_back(bytes);
        match put.map_err(QueueError::Channel)? {
            Outcome::Done(()) => Ok(()),
            Outcome::TimedOut => Err(QueueError::Full),
            Outcome::Closed => Err(QueueError::Closed),
        }
    }

    /// Takes the oldest item; blocks while there is none. [`QueueError::Closed`] ends a consumer's loop.
    pub fn get(&self) -> Result<T> {
        self.get_until(None)
    }

    /// Takes the oldest item; [`QueueError::Empty`] if there is none in time.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T> {
        self.get_until(after(timeout))
    }

    /// Takes the oldest item, or [`QueueError::Empty`]; Python's `get_nowait`.
    pub fn try_get(&self) -> Result<T> {
        self.get_timeout(Duration::ZERO)
    }

    fn get_until(&self, until: Option<Instant>) -> Result<T> {
        let mut bytes = buffer();
        let item = match self.channel.get_into(&mut bytes, None, until) {
            Ok(Outcome::Done(())) => postcard::from_bytes(&bytes).map_err(QueueError::Item),
            Ok(Outcome::TimedOut) => Err(QueueError::Empty),
            Ok(Outcome::Closed) => Err(QueueError::Closed),
            Err(error) => Err(QueueError::Channel(error)),
        };
        give_back(bytes);
        item
    }

    /// Whether the queue was empty a moment ago. Another process may have put or got since: no ground for a decision.
    pub fn is_empty(&self) -> Result<bool> {
        self.channel.is_empty().map_err(QueueError::Channel)
    }

    /// How many items there were a moment ago; Python's `qsize`. `None` if the channel does not count: a socket without
    /// `maxsize`.
    pub fn len(&self) -> Result<Option<usize>> {
        self.channel.len().map_err(QueueError::Channel)
    }

    /// Ends the queue for all processes: nothing can be put any more, what is there can still be got.
    pub fn close(&self) -> Result<()> {
        self.channel.close().map_err(QueueError::Channel)
    }
}

impl<T: Serialize + DeserializeOwned, C: Channel> JoinableQueue<T, C> {
    /// A queue of at most `maxsize` items; as [`Queue::new`] if 0.
    pub fn new(maxsize: usize) -> Result<JoinableQueue<T, C>> {
        Queue::make(maxsize, true).map(JoinableQueue)
    }

    /// Says that an item that was got is done.
    pub fn task_done(&self) -> Result<()> {
        match self.0.channel.task_done().map_err(QueueError::Channel)? {
            true => Ok(()),
            false => Err(QueueError::TooManyTasksDone),
        }
    }

    /// Blocks until every item that was put is done.
    pub fn join(&self) -> Result<()> {
        let joined = self.0.channel.join(None).map_err(QueueError::Channel)?;
        debug_assert!(joined, "there was no time limit");
        Ok(())
    }

    /// As [`JoinableQueue::join`], but returns false if that has not come in time: perhaps a consumer was killed.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        let joined = self.0.channel.join(after(timeout));
        joined.map_err(QueueError::Channel)
    }
}

impl<T, C> std::ops::Deref for JoinableQueue<T, C> {
    type Target = Queue<T, C>;

    fn deref(&self) -> &Queue<T, C> {
        &self.0
    }
}

impl<T: Serialize + DeserializeOwned, C: Channel> SimpleQueue<T, C> {
    pub fn new() -> Result<SimpleQueue<T, C>> {
        Queue::new().map(SimpleQueue)
    }

    /// As [`Queue::fds`].
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.0.fds()
    }

    /// As [`Queue::from_fds`].
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<SimpleQueue<T, C>> {
        Queue::from_fds(fds).map(SimpleQueue)
    }

    /// Adds an item; blocks while there is no room.
    pub fn put(&self, item: &T) -> Result<()> {
        self.0.put(item)
    }

    /// Takes the oldest item; blocks while there is none.
    pub fn get(&self) -> Result<T> {
        self.0.get()
    }

    /// As [`Queue::is_empty`].
    pub fn empty(&self) -> Result<bool> {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{PipeWriter, Read, Write};
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::ring::Ring;
    use crate::socket::Socket;

    const MOMENT: Duration = Duration::from_millis(20);

    /// Every test, on both transports.
    macro_rules! on_both {
        ($($test:ident)+) => {
            mod on_socket {
                $(#[test]
                fn $test() {
                    super::$test::<super::Socket>();
                })+
            }
            mod on_ring {
                $(#[test]
                fn $test() {
                    super::$test::<super::Ring>();
                })+
            }
        };
    }

    on_both! {
        items_come_in_order closed_queues_are_read_to_the_end limits_and_timeouts every_size_arrives_whole
        each_item_is_delivered_once join_waits_for_the_last_task a_blocked_put_goes_on_when_there_is_room
        descriptors_carry_the_queue what_is_full_stays_in_order
        closing_wakes_who_waits_for_room tasks_are_counted_while_more_are_put
        a_killed_producer_wedges_nobody a_killed_consumer_takes_one_item_at_most
    }

    fn items_come_in_order<C: Channel + Sync>() {
        let queue = Queue::<String, C>::new().unwrap();
        assert!(queue.is_empty().unwrap());
        for word in ["a", "", "c"] {
            queue.put(&word.to_owned()).unwrap();
        }
        assert!(!queue.is_empty().unwrap());
        assert_eq!(
            [
                queue.get().unwrap(),
                queue.get().unwrap(),
                queue.get().unwrap()
            ],
            ["a", "", "c"]
        );
    }

    fn closed_queues_are_read_to_the_end<C: Channel + Sync>() {
        for queue in [Queue::<u32, C>::new().unwrap(), Queue::bounded(3).unwrap()] {
            queue.put(&1).unwrap();
            queue.close().unwrap();
            assert!(matches!(queue.put(&2), Err(QueueError::Closed)));
            assert_eq!(queue.get().unwrap(), 1);
            assert!(matches!(queue.get(), Err(QueueError::Closed)));
        }
        let queue = Queue::<u32, C>::new().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(queue.get(), Err(QueueError::Closed))));
            thread::sleep(MOMENT);
            queue.close().unwrap();
        });
    }

    fn limits_and_timeouts<C: Channel + Sync>() {
        let queue = Queue::<u32, C>::bounded(2).unwrap();
        queue.try_put(&1).unwrap();
        queue.try_put(&2).unwrap();
        assert_eq!(queue.len().unwrap(), Some(2));
        assert!(matches!(queue.try_put(&3), Err(QueueError::Full)));
        let start = Instant::now();
        assert!(matches!(
            queue.put_timeout(&3, MOMENT),
            Err(QueueError::Full)
        ));
        assert!(start.elapsed() >= MOMENT);
        assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
        assert!(matches!(queue.try_get(), Err(QueueError::Empty)));
        let start = Instant::now();
        assert!(matches!(queue.get_timeout(MOMENT), Err(QueueError::Empty)));
        assert!(start.elapsed() >= MOMENT);
        assert_eq!(queue.len().unwrap(), Some(0));
    }

    fn every_size_arrives_whole<C: Channel + Sync>() {
        let queue = Queue::<Vec<u8>, C>::new().unwrap();
        for size in [
            1,
            63,
            64,
            65,
            4096,
            65_535,
            65_536,
            66_556,
            66_557,
            66_558,
            1 << 20,
            64 << 20,
        ] {
            let item: Vec<u8> = (0..size).map(|n: usize| (n * 31 % 251) as u8).collect();
            queue.put(&item).unwrap();
            assert!(queue.get().unwrap() == item, "{size}");
        }
    }

    fn each_item_is_delivered_once<C: Channel + Sync>() {
        let queue = Queue::<(u32, u32), C>::new().unwrap();
        let got = Mutex::new(BTreeSet::new());
        thread::scope(|scope| {
            let producers: Vec<_> = (0..4)
                .map(|p| {
                    scope.spawn({
                        let queue = &queue;
                        move || (0..2000).for_each(|n| queue.put(&(p, n)).unwrap())
                    })
                })
                .collect();
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = [None; 4];
                    while let Ok((producer, n)) = queue.get() {
                        // Of one producer, one consumer sees the items in their order.
                        assert!(last[producer as usize].replace(n) < Some(n));
                        assert!(got.lock().unwrap().insert((producer, n)));
                    }
                });
            }
            producers
                .into_iter()
                .for_each(|producer| producer.join().unwrap());
            queue.close().unwrap();
        });
        assert_eq!(got.lock().unwrap().len(), 8000);
    }

    fn join_waits_for_the_last_task<C: Channel + Sync>() {
        let queue = JoinableQueue::<u32, C>::new(0).unwrap();
        (0..10).for_each(|n| queue.put(&n).unwrap());
        assert!(!queue.join_timeout(MOMENT).unwrap());
        let done = Mutex::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while queue.get().is_ok() {
                    thread::sleep(Duration::from_millis(1));
                    *done.lock().unwrap() += 1;
                    queue.task_done().unwrap();
                }
            });
            queue.join().unwrap();
            assert_eq!(*done.lock().unwrap(), 10);
            assert!(matches!(
                queue.task_done(),
                Err(QueueError::TooManyTasksDone)
            ));
            queue.close().unwrap();
        });
        queue.join().unwrap();
    }

    fn a_blocked_put_goes_on_when_there_is_room<C: Channel + Sync>() {
        let queue = Queue::<Vec<u8>, C>::bounded(1).unwrap();
        let big = vec![7; 1 << 20];
        queue.put(&big).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| queue.put(&big).unwrap());
            thread::sleep(MOMENT);
            assert!(queue.get().unwrap() == big);
            assert!(queue.get().unwrap() == big);
        });
    }

    fn closing_wakes_who_waits_for_room<C: Channel + Sync>() {
        for queue in [
            Queue::<Vec<u8>, C>::new().unwrap(),
            Queue::bounded(9).unwrap(),
        ] {
            let item = vec![7; 10_000];
            while queue.try_put(&item).is_ok() {}
            thread::scope(|scope| {
                scope.spawn(|| assert!(matches!(queue.put(&item), Err(QueueError::Closed))));
                thread::sleep(MOMENT);
                queue.close().unwrap();
            });
        }
    }

    /// Whoever is done with a later item first must not make an earlier one look like one too many.
    fn tasks_are_counted_while_more_are_put<C: Channel + Sync>() {
        let queue = JoinableQueue::<u32, C>::new(2).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while queue.get().is_ok() {
                        queue.task_done().unwrap();
                    }
                });
            }
            (0..20_000).for_each(|n| queue.put(&n).unwrap());
            queue.join().unwrap();
            queue.close().unwrap();
        });
    }

    fn descriptors_carry_the_queue<C: Channel + Sync>() {
        for queue in [Queue::<u32, C>::new().unwrap(), Queue::bounded(5).unwrap()] {
            let fds = queue
                .fds()
                .into_iter()
                .map(|fd| fd.try_clone_to_owned().unwrap())
                .collect();
            let other = Queue::<u32, C>::from_fds(fds).unwrap();
            queue.put(&1).unwrap();
            assert_eq!(other.get().unwrap(), 1);
            other.put(&2).unwrap();
            drop(other);
            assert_eq!(queue.get().unwrap(), 2);
        }
        assert!(Queue::<u32, C>::from_fds(vec![]).is_err());
    }

    /// More than the channel holds, so that a ring wraps and a socket fills, again and again.
    fn what_is_full_stays_in_order<C: Channel + Sync>() {
        let queue = Queue::<(u32, Vec<u8>), C>::bounded(20).unwrap();
        let size = |n: u32| (n as usize * 7919) % (12 << 20);
        thread::scope(|scope| {
            scope.spawn(|| (0..120).for_each(|n| queue.put(&(n, vec![n as u8; size(n)])).unwrap()));
            for n in 0..120 {
                let (number, bytes) = queue.get().unwrap();
                assert_eq!((number, bytes.len()), (n, size(n)));
                assert!(bytes.iter().all(|byte| *byte == n as u8));
            }
        });
    }

    /// How often a process is killed, for each way to make a queue.
    const KILLS: u64 = 25;

    /// The child of the tests below, in a process of its own, which has its task in the environment. Alone it passes.
    #[test]
    fn child() {
        let Ok(task) = std::env::var("QUEUE_TEST_CHILD") else {
            return;
        };
        let (name, fds) = task.split_once(' ').unwrap();
        let fds: Vec<OwnedFd> = fds
            .split(' ')
            // SAFETY: the parent has left these descriptors open for this process, and nobody else here knows them.
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd.parse().unwrap()) })
            .collect();
        match name {
            "put_on_ring" => put_for_ever::<Ring>(fds),
            "put_on_socket" => put_for_ever::<Socket>(fds),
            "get_on_ring" => get_for_ever::<Ring>(fds),
            _ => get_for_ever::<Socket>(fds),
        }
    }

    fn put_for_ever<C: Channel>(fds: Vec<OwnedFd>) {
        let queue = Queue::<Item, C>::from_fds(fds).unwrap();
        (0..).try_for_each(|n| queue.put(&item(n))).unwrap();
    }

    /// Reports each item that it has got.
    fn get_for_ever<C: Channel>(mut fds: Vec<OwnedFd>) {
        let mut report = PipeWriter::from(fds.pop().unwrap());
        let queue = Queue::<Item, C>::from_fds(fds).unwrap();
        while let Ok((n, bytes)) = queue.get() {
            assert_eq!(bytes, item(n).1);
            report.write_all(&n.to_le_bytes()).unwrap();
        }
    }

    type Item = (u64, Vec<u8>);

    /// Of very different sizes, and recognisable when torn.
    fn item(n: u64) -> Item {
        let size = if n % 50 == 49 { 100_000 } else { n % 300 };
        (n, vec![n as u8; size as usize])
    }

    fn start<C>(task: &str, queue: &Queue<Item, C>, more: &[BorrowedFd]) -> Child
    where
        C: Channel,
    {
        let on = if std::any::type_name::<C>().contains("Ring") {
            "on_ring"
        } else {
            "on_socket"
        };
        let fds: Vec<RawFd> = queue
            .fds()
            .iter()
            .chain(more)
            .map(AsRawFd::as_raw_fd)
            .collect();
        let numbers: Vec<String> = fds.iter().map(ToString::to_string).collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "queues::tests::child"])
            .env(
                "QUEUE_TEST_CHILD",
                format!("{task}_{on} {}", numbers.join(" ")),
            )
            .stdout(Stdio::null());
        let inherit = move || {
            fds.iter().try_for_each(|fd| {
                // SAFETY: the parent's descriptors are open here too, between fork and exec.
                let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
                Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?)
            })
        };
        // SAFETY: the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(inherit) };
        command.spawn().unwrap()
    }

    fn a_killed_producer_wedges_nobody<C: Channel + Sync>() {
        const LONG: Duration = Duration::from_secs(30);
        for round in 0..KILLS {
            let queue = if round % 2 == 0 {
                Queue::<Item, C>::new()
            } else {
                Queue::bounded(3)
            }
            .unwrap();
            let mut child = start("put", &queue, &[]);
            // Somewhere in its work, not always at the same point.
            let mut next = 0;
            while next < round * 13 {
                assert_eq!(queue.get_timeout(LONG).unwrap(), item(next));
                next += 1;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            while let Ok(got) = queue.try_get() {
                assert_eq!(got, item(next), "in order, whole, without a gap");
                next += 1;
            }
            queue.put_timeout(&item(7), LONG).unwrap();
            assert_eq!(queue.get_timeout(LONG).unwrap(), item(7));
        }
    }

    fn a_killed_consumer_takes_one_item_at_most<C: Channel + Sync>() {
        const LONG: Duration = Duration::from_secs(30);
        for round in 0..KILLS {
            let queue = if round % 2 == 0 {
                Queue::<Item, C>::new()
            } else {
                Queue::bounded(3)
            }
            .unwrap();
            let (mut reports, report) = std::io::pipe().unwrap();
            let mut child = start("get", &queue, &[report.as_fd()]);
            drop(report);
            let all = 11 + round;
            (0..all).for_each(|n| queue.put_timeout(&item(n), LONG).unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
            let mut got = Vec::new();
            reports.read_to_end(&mut got).unwrap();
            let mut got: Vec<u64> = got
                .chunks_exact(8)
                .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            while let Ok((n, bytes)) = queue.try_get() {
                assert_eq!(bytes, item(n).1);
                got.push(n);
            }
            assert!(
                got.windows(2).all(|pair| pair[0] < pair[1]),
                "each once, in order: {got:?}"
            );
            assert!(
                got.len() as u64 + 1 >= all,
                "{} of {all} items: {got:?}",
                got.len()
            );
            queue.put_timeout(&item(7), LONG).unwrap();
            assert_eq!(queue.get_timeout(LONG).unwrap(), item(7));
        }
    }
}
