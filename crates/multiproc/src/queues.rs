//! [`Queue`], [`JoinableQueue`] and [`SimpleQueue`]: typed queues between processes.
//!
//! They differ from Python's queues in four ways:
//!
//! - [`Queue::close`] closes the queue for all processes, so a consumer drains it instead of polling `empty()`.
//! - There is no feeder thread: when [`Queue::put`] returns, the item is in the queue. `put` blocks while the queue holds
//!   8 MiB (plus one item of more than 4 MiB), so start the consumers first.
//! - A killed process does not block the others. A consumer killed in a `get` loses at most one item; an item in the queue
//!   survives its producer.
//! - A queue is typed: all its items have the same type.
//!
//! Forked children use a queue directly. Pass it to other children as an argument of [`spawn`](crate::spawn()).

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reduction::{EncodingError, decode, encode};
use crate::ring::{Outcome, Ring};

/// A queue of `T`s between any number of producers and consumers: Python's `multiprocessing.Queue`.
///
/// Each item is delivered whole to one consumer. Items from one producer arrive in order. Clones refer to the same queue.
///
/// A process killed in a `put` has either put its whole item or nothing. A process killed in a `get` loses at most that one
/// item. The other processes continue within 50 ms.
///
/// Items are encoded with [postcard](https://docs.rs/postcard), which omits field names. Types that need them to be decoded
/// do not round-trip: `serde_json::Value`, and types with `untagged`, `flatten` or `skip_serializing_if`. For bulk bytes use
/// `serde_bytes::ByteBuf`, which is copied at once; serde encodes a `Vec<u8>` byte by byte. An item takes at most 256 MiB.
///
/// A `put` or a `get` costs an uncontended lock and a copy, and a system call only when a process sleeps. A queue takes one
/// descriptor, 264 MiB of address space, and memory only where items are stored.
///
/// # Examples
///
/// ```
/// use multiproc::queues::{Queue, QueueError};
/// use multiproc::{init, spawn, target};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     init([target(square)]);
///     let (numbers, squares) = (Queue::new()?, Queue::new()?);
///     let child = spawn(square, (numbers.clone(), squares.clone()))?;
///     for n in 1..=3 {
///         numbers.put(&n)?;
///     }
///     numbers.close()?;
///     assert!(child.join()?.success());
///     assert_eq!([squares.get()?, squares.get()?, squares.get()?], [1, 4, 9]);
///     Ok(())
/// }
///
/// fn square((numbers, squares): (Queue<u32>, Queue<u32>)) -> Result<(), QueueError> {
///     loop {
///         match numbers.get() {
///             Ok(n) => squares.put(&(n * n))?,
///             Err(QueueError::Closed) => return Ok(()),
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    ring: Ring,
    items: PhantomData<fn(T) -> T>,
}

/// A queue that tracks whether all its items are done: Python's `multiprocessing.JoinableQueue`.
///
/// It has all methods of [`Queue`]. Call [`JoinableQueue::task_done`] after each `get`. If a consumer is killed in between,
/// [`JoinableQueue::join`] stays blocked, as in Python; use [`JoinableQueue::join_timeout`] to limit the wait.
///
/// # Examples
///
/// ```
/// use multiproc::queues::{JoinableQueue, QueueError};
/// use multiproc::fork;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let jobs = JoinableQueue::new(0)?;
///     let child = fork(|| -> Result<(), QueueError> {
///         while let Ok(job) = jobs.get() {
///             let _: String = job;
///             jobs.task_done()?;
///         }
///         Ok(())
///     })?;
///     jobs.put(&"sweep the floor".to_owned())?;
///     jobs.join()?;
///     jobs.close()?;
///     assert!(child.join()?.success());
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct JoinableQueue<T>(Queue<T>);

/// A queue with only `put`, `get` and `empty`: Python's `multiprocessing.SimpleQueue`.
///
/// # Examples
///
/// ```
/// use multiproc::fork;
/// use multiproc::queues::SimpleQueue;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let queue = SimpleQueue::new()?;
///     let child = fork(|| queue.put(&42))?;
///     assert_eq!(queue.get()?, 42);
///     assert!(queue.empty());
///     assert!(child.join()?.success());
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct SimpleQueue<T>(Queue<T>);

/// An error that a queue's methods return.
#[derive(Debug)]
pub enum QueueError {
    /// The queue was full until the timeout: Python's `queue.Full`.
    Full,
    /// The queue was empty until the timeout: Python's `queue.Empty`.
    Empty,
    /// The queue is closed and, for a `get`, empty.
    Closed,
    /// `task_done` was called more often than items were put: Python's `ValueError`.
    TooManyTasksDone,
    /// The item cannot be written as bytes, or the bytes are not an item of this type.
    Item(EncodingError),
    /// A system call failed, or the item is too large.
    Io(io::Error),
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueError::Full => f.write_str("the queue is full"),
            QueueError::Empty => f.write_str("the queue is empty"),
            QueueError::Closed => f.write_str("the queue is closed"),
            QueueError::TooManyTasksDone => f.write_str("task_done() called too many times"),
            QueueError::Item(error) => write!(f, "the queue's item: {error}"),
            QueueError::Io(error) => write!(f, "the queue: {error}"),
        }
    }
}

impl error::Error for QueueError {}

impl From<EncodingError> for QueueError {
    fn from(error: EncodingError) -> QueueError {
        QueueError::Item(error)
    }
}

impl From<io::Error> for QueueError {
    fn from(error: io::Error) -> QueueError {
        QueueError::Io(error)
    }
}

type Result<T> = std::result::Result<T, QueueError>;

thread_local! {
    /// A buffer for an item's bytes, reused for the next item.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Returns the end of a timeout, or `None` if it is beyond the range of the clock.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The largest buffer that a thread keeps.
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

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Makes a queue without a limit on the number of items: Python's `Queue()`.
    ///
    /// # Errors
    ///
    /// Fails when the system has no memory, address space or descriptor left.
    pub fn new() -> Result<Queue<T>> {
        Queue::bounded(0)
    }

    /// Makes a queue of at most `maxsize` items, or any number if 0: Python's `Queue(maxsize)`.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::new`].
    pub fn bounded(maxsize: usize) -> Result<Queue<T>> {
        Ok(Queue {
            ring: Ring::new(maxsize)?,
            items: PhantomData,
        })
    }

    /// Adds an item, blocking while the queue is full.
    ///
    /// # Errors
    ///
    /// [`QueueError::Closed`] if the queue is closed, before or while this blocks; [`QueueError::Item`] if serde cannot
    /// write the item; [`QueueError::Io`] if it is larger than 256 MiB or the system has no memory for it.
    pub fn put(&self, item: &T) -> Result<()> {
        self.put_until(item, None)
    }

    /// Adds an item, blocking at most for `timeout` while the queue is full.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] if the queue stays full, and those of [`Queue::put`].
    pub fn put_timeout(&self, item: &T, timeout: Duration) -> Result<()> {
        self.put_until(item, after(timeout))
    }

    /// Adds an item unless the queue is full: Python's `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] if the queue is full, and those of [`Queue::put`].
    pub fn try_put(&self, item: &T) -> Result<()> {
        self.put_timeout(item, Duration::ZERO)
    }

    fn put_until(&self, item: &T, until: Option<Instant>) -> Result<()> {
        let bytes = encode(item, buffer())?;
        let put = self.ring.put(&bytes, until);
        give_back(bytes);
        match put? {
            Outcome::Done(()) => Ok(()),
            Outcome::TimedOut => Err(QueueError::Full),
            Outcome::Closed => Err(QueueError::Closed),
        }
    }

    /// Takes the oldest item, blocking while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`QueueError::Closed`] if the queue is closed and empty, which ends a consumer's loop. [`QueueError::Item`] if the
    /// item is not a `T`; the item is removed anyway.
    pub fn get(&self) -> Result<T> {
        self.get_until(None)
    }

    /// Takes the oldest item, blocking at most for `timeout` while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`QueueError::Empty`] if the queue stays empty, and those of [`Queue::get`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T> {
        self.get_until(after(timeout))
    }

    /// Takes the oldest item unless the queue is empty: Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Empty`] if the queue is empty, and those of [`Queue::get`].
    pub fn try_get(&self) -> Result<T> {
        self.get_timeout(Duration::ZERO)
    }

    /// Returns an iterator that takes items. It blocks while the queue is empty, and ends when the queue is closed and empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiproc::Queue::<u32>::new()?;
    /// queue.put(&1)?;
    /// queue.put(&2)?;
    /// queue.close();
    /// assert_eq!(queue.iter().sum::<Result<u32, _>>()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<T>> {
        std::iter::from_fn(|| match self.get() {
            Err(QueueError::Closed) => None,
            item => Some(item),
        })
    }

    fn get_until(&self, until: Option<Instant>) -> Result<T> {
        let mut bytes = buffer();
        let item = match self.ring.get_into(&mut bytes, None, until) {
            Ok(Outcome::Done(())) => decode(&bytes).map_err(QueueError::Item),
            Ok(Outcome::TimedOut) => Err(QueueError::Empty),
            Ok(Outcome::Closed) => Err(QueueError::Closed),
            Err(error) => Err(QueueError::Io(error)),
        };
        give_back(bytes);
        item
    }

    /// Returns whether the queue was empty a moment ago. Do not base decisions on it, because another process may put or get
    /// an item at any time: call [`Queue::try_get`] instead.
    pub fn is_empty(&self) -> bool {
        self.ring.len() == 0
    }

    /// Returns the number of items a moment ago: Python's `qsize`.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Closes the queue for all processes. A `put` then fails; consumers can still drain the queue.
    ///
    /// # Errors
    ///
    /// Fails if the queue cannot be locked.
    pub fn close(&self) -> Result<()> {
        Ok(self.ring.close()?)
    }
}

impl<T: Serialize + DeserializeOwned> JoinableQueue<T> {
    /// Makes a queue of at most `maxsize` items, or any number if 0: Python's `JoinableQueue(maxsize)`.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::new`].
    pub fn new(maxsize: usize) -> Result<JoinableQueue<T>> {
        Queue::bounded(maxsize).map(JoinableQueue)
    }

    /// Marks one taken item as done.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooManyTasksDone`] if all items that were put are done already.
    pub fn task_done(&self) -> Result<()> {
        match self.0.ring.task_done() {
            true => Ok(()),
            false => Err(QueueError::TooManyTasksDone),
        }
    }

    /// Blocks until every item that was put is done.
    ///
    /// # Errors
    ///
    /// Fails if the futex system call fails.
    pub fn join(&self) -> Result<()> {
        let joined = self.0.ring.join(None)?;
        debug_assert!(joined, "there is no time limit");
        Ok(())
    }

    /// Blocks until every item that was put is done, at most for `timeout`, and returns whether they are done. If not, a
    /// consumer may have been killed.
    ///
    /// # Errors
    ///
    /// Those of [`JoinableQueue::join`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        Ok(self.0.ring.join(after(timeout))?)
    }
}

impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T: Serialize + DeserializeOwned> SimpleQueue<T> {
    /// Makes a queue without a limit on the number of items.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::new`].
    pub fn new() -> Result<SimpleQueue<T>> {
        Queue::new().map(SimpleQueue)
    }

    /// Adds an item, blocking while the queue is full.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::put`].
    pub fn put(&self, item: &T) -> Result<()> {
        self.0.put(item)
    }

    /// Takes the oldest item, blocking while the queue is empty.
    ///
    /// # Errors
    ///
    /// [`QueueError::Item`] if the item is not a `T`; the item is removed anyway.
    pub fn get(&self) -> Result<T> {
        self.0.get()
    }

    /// Returns whether the queue was empty a moment ago, as [`Queue::is_empty`].
    pub fn empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue {
            ring: self.ring.clone(),
            items: PhantomData,
        }
    }
}

/// The queue can be serialised only as an argument of [`spawn`](crate::spawn()).
impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.ring.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Queue<T>, D::Error> {
        Ok(Queue {
            ring: Ring::deserialize(deserializer)?,
            items: PhantomData,
        })
    }
}

macro_rules! wraps_queue {
    ($Queue:ident) => {
        impl<T> Clone for $Queue<T> {
            fn clone(&self) -> $Queue<T> {
                $Queue(self.0.clone())
            }
        }

        /// The queue can be serialised only as an argument of [`spawn`](crate::spawn()).
        impl<T> Serialize for $Queue<T> {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de, T> Deserialize<'de> for $Queue<T> {
            fn deserialize<D: Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<$Queue<T>, D::Error> {
                Queue::deserialize(deserializer).map($Queue)
            }
        }
    };
}

wraps_queue!(JoinableQueue);
wraps_queue!(SimpleQueue);
