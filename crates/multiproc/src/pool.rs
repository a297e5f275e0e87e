//! [`Pool`]: a pool of worker processes that survives the death of its workers.
//!
//! A task is a function passed to [`init`](crate::init) through [`task`]. The pool sends a worker the function's name, not
//! the function itself.
//!
//! Python's pool waits forever for the task of a killed worker
//! ([cpython #96062](https://github.com/python/cpython/issues/96062)). Here the task fails with
//! [`PoolError::WorkerDied`], and a new worker replaces the killed one.

use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Condvar, LockResult, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{error, fmt, mem, vec};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Context, ensure};
use crate::process::{Exit, Process};
use crate::reduction::{EncodingError, decode, encode};
use crate::ring::{MARKS, Outcome, Ring};
use crate::spawn::{
    self, Function, ensure_initialized, find_task, is_task, not_given, stateless, summon,
};

/// Registers a function as a pool task, for [`init`](crate::init).
///
/// Pass a named function or a closure that captures nothing. It takes one argument; use a tuple for several. The caller
/// gets its errors and panics as text. To keep your own error type, return the error inside the value: `Ok(Err(error))`.
///
/// Arguments and results are encoded with [postcard](https://docs.rs/postcard), which omits field names. Types that need
/// them to be decoded do not round-trip: `#[serde(skip_serializing_if)]`, untagged enums, `serde_json::Value`. Use
/// `serde_bytes::ByteBuf` for bulk bytes: serde encodes a `Vec<u8>` byte by byte.
///
/// # Examples
///
/// ```
/// use multiproc::{Pool, init, task};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     init([task(power)]);
///     let pool = Pool::with_workers(2)?;
///     assert_eq!(pool.apply(power, (2, 10))?, 1024);
///     Ok(())
/// }
///
/// fn power((base, exponent): (u64, u32)) -> Result<u64, String> {
///     base.checked_pow(exponent).ok_or(format!("{base}^{exponent} is too large"))
/// }
/// ```
pub fn task<A, T, E, F>(function: F) -> Function
where
    A: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
    E: fmt::Display,
    F: Fn(A) -> Result<T, E> + Copy + 'static,
{
    stateless(function);
    Function::task::<F>(run_chunk::<A, T, E, F>)
}

/// An error that a pool returns instead of a result.
///
/// # Examples
///
/// ```
/// use multiproc::{Exit, Pool, PoolError, init, task};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     init([task(divide), task(crash)]);
///     let pool = Pool::with_workers(2)?;
///     match pool.apply(divide, (1, 0)) {
///         Err(PoolError::Failed(message)) => assert_eq!(message, "1 / 0 is not defined"),
///         result => panic!("{result:?}"),
///     }
///     match pool.apply(crash, ()) {
///         Err(PoolError::WorkerDied(exit)) => assert_eq!(exit, Exit::Signal(6)),
///         result => panic!("{result:?}"),
///     }
///     // The dead worker is replaced.
///     assert_eq!(pool.apply(divide, (6, 3))?, 2);
///     Ok(())
/// }
///
/// fn divide((a, b): (i32, i32)) -> Result<i32, String> {
///     a.checked_div(b).ok_or(format!("{a} / {b} is not defined"))
/// }
///
/// fn crash(_: ()) -> Result<(), String> {
///     std::process::abort()
/// }
/// ```
#[derive(Clone)]
pub enum PoolError {
    /// The task returned an error, with this message.
    Failed(String),
    /// The task panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// The file, line and column of the panic.
        place: String,
    },
    /// The worker died while it ran the task, or another task of the same chunk.
    WorkerDied(Exit),
    /// The task was not done in time; Python's `TimeoutError`. It keeps running.
    TimedOut,
    /// The pool is closed and accepts no more tasks; Python's `ValueError`.
    Closed,
    /// The pool was terminated or dropped before the task was done.
    Terminated,
    /// The pool has no workers because they cannot start, for this reason.
    NoWorkers(String),
    /// The function with this path was not passed to [`init`](crate::init) as a [`task`].
    UnknownTask(String),
    /// A callback tried to wait for a task. It would block forever, because the pool collects no results while a callback
    /// runs.
    InCallback,
    /// The task or its result could not be sent between the processes, for this reason.
    Channel(String),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Failed(message) => f.write_str(message),
            PoolError::Panicked { message, place } => {
                write!(f, "the task panicked at {place}: {message}")
            }
            PoolError::WorkerDied(exit) => write!(f, "the worker died in its task: {exit}"),
            PoolError::TimedOut => f.write_str("the task was not done in time"),
            PoolError::Closed => {
                f.write_str("the pool is closed; submit tasks before you call close")
            }
            PoolError::Terminated => {
                f.write_str("the pool was terminated before the task was done")
            }
            PoolError::NoWorkers(reason) => write!(f, "the pool has no workers: {reason}"),
            PoolError::UnknownTask(name) => not_given(name, "task").fmt(f),
            PoolError::InCallback => f.write_str(
                "a callback must not wait for tasks; wait in another thread, or submit the next task with a callback",
            ),
            PoolError::Channel(reason) => write!(f, "the task or its result: {reason}"),
        }
    }
}

/// The same text: `main` prints the error that it returns in this form.
impl fmt::Debug for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for PoolError {}

impl From<PoolError> for io::Error {
    fn from(error: PoolError) -> io::Error {
        io::Error::other(error)
    }
}

/// Worker processes of this program that run tasks: Python's `multiprocessing.Pool`.
///
/// Workers take tasks in the order of submission. If a worker is killed, the chunk of tasks that it was running fails
/// with [`PoolError::WorkerDied`]. The pool does not retry the chunk, because the worker may have done half of it. The
/// other workers and a replacement run the remaining tasks.
///
/// If a worker cannot start, the others run its tasks, and the pool retries every second. While no worker runs, tasks
/// fail with [`PoolError::NoWorkers`].
///
/// Dropping the pool terminates it. When this process is killed, the kernel kills the workers.
///
/// Fork before you create a pool: a pool starts two threads in this process, and [`fork`](crate::fork) fails in a process
/// with several threads. One thread collects the results and runs the callbacks; the other starts the workers and waits
/// for them.
///
/// Workers are started like the children of [`spawn`](crate::spawn()). To run code in each worker before its first task,
/// as Python's `initializer` does, put it before [`init`](crate::init) in `main`.
///
/// Cost: each chunk passes through two queues in shared memory, one for tasks and one for results. The arguments of a
/// chunk take at most 256 MiB, and so do its results.
///
/// # Examples
///
/// ```
/// use multiproc::{Pool, init, task};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // Call it first in main: a worker process never returns from it.
///     init([task(square)]);
///     let pool = Pool::new()?;
///     assert_eq!(pool.map(square, [1, 2, 3], None)?, [1, 4, 9]);
///     let result = pool.apply_async(square, 4)?;
///     assert_eq!(result.get()?, 16);
///     Ok(())
/// }
///
/// fn square(number: u64) -> Result<u64, String> {
///     number.checked_mul(number).ok_or(format!("the square of {number} is too large"))
/// }
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    workers: usize,
    threads: Vec<JoinHandle<()>>,
}

/// The state that the threads of a pool share.
struct Shared {
    tasks: Ring,
    results: Ring,
    state: Mutex<State>,
    /// Notified when a worker is ready or has failed to start.
    started: Condvar,
    /// Wakes the thread that watches the workers.
    control: OwnedFd,
}

#[derive(Default)]
struct State {
    /// Chunks that did not fit into the ring.
    waiting: VecDeque<Chunk>,
    /// Chunks in the ring or at a worker, starting with the number `first`; `None` for a chunk that is done. A chunk's
    /// number is the count of chunks put before it, as in [`Ring::taken_by`].
    given: VecDeque<Option<Part>>,
    first: u64,
    /// For each worker, whether it has reported that it is ready.
    ready: Vec<bool>,
    /// What happened to workers, in order. A message in the results ring announces each event.
    news: VecDeque<News>,
    /// Workers to be started.
    starting: Vec<usize>,
    /// All workers have been ready at the same time.
    complete: bool,
    /// The reason why the pool has no workers.
    failure: Option<String>,
    closed: bool,
    terminated: bool,
}

/// Encoded tasks that one worker runs one after the other.
struct Chunk {
    /// Space for the chunk's number, then the function's name, then the arguments.
    item: Vec<u8>,
    part: Part,
}

/// The place of a chunk's results among all results.
struct Part {
    job: Arc<dyn Fn(usize, PartResult) + Send + Sync>,
    index: usize,
}

/// The message with a chunk's results, or an error that applies to all its tasks.
type PartResult = Result<Vec<u8>, PoolError>;

enum News {
    Died {
        worker: usize,
        exit: Exit,
        /// The chunk that it took last.
        taken: Option<u64>,
    },
    NotStarted {
        worker: usize,
        reason: String,
    },
}

/// The first byte of a message in the results ring. The number of a worker or of a chunk follows.
const READY: u8 = 0;
const DONE: u8 = 1;
const UNABLE: u8 = 2;
const NEWS: u8 = 3;
const END: u8 = 4;

/// The size of a number in a chunk or a message.
const NUMBER: usize = size_of::<u64>();

/// The size of a message's header, which precedes its results or its text.
const HEAD: usize = 1 + NUMBER;

/// The maximum number of chunks put, and of messages got, at a time.
const BATCH: usize = 64;

/// A batch of chunks is submitted once it has this many bytes.
const BATCH_BYTES: usize = 16 << 10;

/// The time after which the pool retries to start a worker.
const RETRY: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread runs the callbacks of a pool.
    static CALLS_BACK: Cell<bool> = const { Cell::new(false) };
    /// The message and the location of the last panic.
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

impl Pool {
    /// Starts one worker per core, and blocks until all are ready.
    ///
    /// # Errors
    ///
    /// As [`Pool::with_workers`].
    pub fn new() -> io::Result<Pool> {
        Pool::with_workers(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Starts `workers` workers, 1 to 256, and blocks until all are ready.
    ///
    /// # Errors
    ///
    /// Fails if this process has not called [`init`](crate::init). Fails with [`PoolError::NoWorkers`] inside if a worker
    /// cannot start or ends before it calls [`init`](crate::init).
    pub fn with_workers(workers: usize) -> io::Result<Pool> {
        ensure!(
            (1..=MARKS).contains(&workers),
            "a pool has 1 to {MARKS} workers, not {workers}"
        );
        ensure_initialized()?;
        let control = eventfd(0, EventfdFlags::CLOEXEC).context("make an eventfd")?;
        let shared = Arc::new(Shared {
            tasks: Ring::new(0).context("make a queue for tasks")?,
            results: Ring::new(0).context("make a queue for results")?,
            state: Mutex::new(State {
                ready: vec![false; workers],
                starting: (0..workers).collect(),
                ..State::default()
            }),
            started: Condvar::new(),
            control,
        });
        let mut pool = Pool {
            shared: Arc::clone(&shared),
            workers,
            threads: Vec::new(),
        };
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let collecting = Arc::clone(&shared);
        let collect = thread("pool results").spawn(move || collecting.collect());
        pool.threads.push(collect.context("start a thread")?);
        let watching = Arc::clone(&shared);
        let watch = thread("pool workers").spawn(move || watching.watch(workers));
        match watch {
            Ok(watch) => pool.threads.push(watch),
            Err(error) => {
                shared.results.close()?;
                return Err(error).context("start a thread");
            }
        }
        let starting = |state: &mut State| state.failure.is_none() && state.ready.contains(&false);
        let mut state = unpoisoned(shared.started.wait_while(shared.state(), starting));
        match state.failure.take() {
            None => {
                drop(state);
                Ok(pool)
            }
            Some(reason) => Err(PoolError::NoWorkers(reason).into()),
        }
    }

    /// Runs a task in a worker, and blocks until it is done: Python's `apply(function, (argument,))`.
    ///
    /// # Errors
    ///
    /// Any [`PoolError`] except [`PoolError::TimedOut`].
    pub fn apply<A, T, E, F>(&self, function: F, argument: A) -> Result<T, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        self.apply_async(function, argument)?.get()
    }

    /// Submits a task and returns immediately.
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownTask`] if the function was not passed to [`init`](crate::init), [`PoolError::Closed`] after
    /// [`Pool::close`], [`PoolError::NoWorkers`] while no worker can start. [`AsyncResult::get`] returns the errors of the
    /// task.
    pub fn apply_async<A, T, E, F>(
        &self,
        function: F,
        argument: A,
    ) -> Result<AsyncResult<T>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        self.submit(name(function)?, &[argument], 1, only, None)
    }

    /// Submits a task and returns immediately. When the task is done, `callback` is called with its value, or
    /// `error_callback` with its error.
    ///
    /// The callback runs in the pool thread that collects the results, or in the calling thread if the task cannot be
    /// submitted. Keep it short: the pool collects no other results while it runs. It may submit tasks but must not wait for
    /// them. If it panics, the other results still arrive.
    ///
    /// # Errors
    ///
    /// As [`Pool::apply_async`]; on an error, neither callback is called.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use multiproc::{Pool, init, task};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     init([task(half)]);
    ///     let pool = Pool::with_workers(1)?;
    ///     let (sender, results) = channel();
    ///     for number in [6, 7] {
    ///         let (good, bad) = (sender.clone(), sender.clone());
    ///         pool.apply_async_with(
    ///             half,
    ///             number,
    ///             move |half| good.send(half.to_string()).unwrap(),
    ///             move |error| bad.send(error.to_string()).unwrap(),
    ///         )?;
    ///     }
    ///     assert_eq!(results.recv()?, "3");
    ///     assert_eq!(results.recv()?, "7 is odd");
    ///     Ok(())
    /// }
    ///
    /// fn half(number: u32) -> Result<u32, String> {
    ///     if number % 2 == 0 { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    /// }
    /// ```
    pub fn apply_async_with<A, T, E, F>(
        &self,
        function: F,
        argument: A,
        callback: impl FnOnce(T) + Send + 'static,
        error_callback: impl FnOnce(PoolError) + Send + 'static,
    ) -> Result<AsyncResult<T>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        let callback = either(callback, error_callback);
        self.submit(name(function)?, &[argument], 1, only, callback)
    }

    /// Runs a task for each item, blocks until all are done, and returns the results in the order of the items.
    ///
    /// A worker takes `chunksize` items at a time. By default, each worker gets four chunks.
    ///
    /// # Errors
    ///
    /// Returns the first error in the order of the items, once all tasks are done.
    pub fn map<A, T, E, F>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunksize: Option<usize>,
    ) -> Result<Vec<T>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        self.map_async(function, items, chunksize)?.get()
    }

    /// Submits a task for each item as [`Pool::map`] does, and returns immediately.
    ///
    /// # Errors
    ///
    /// As [`Pool::apply_async`].
    pub fn map_async<A, T, E, F>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunksize: Option<usize>,
    ) -> Result<AsyncResult<Vec<T>>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        let items: Vec<A> = items.into_iter().collect();
        let chunksize = self.chunksize(items.len(), chunksize);
        self.submit(name(function)?, &items, chunksize, all, None)
    }

    /// Submits a task for each item as [`Pool::map`] does, and returns immediately. When all tasks are done, `callback` is
    /// called with their values, or `error_callback` with the first error, as in [`Pool::apply_async_with`].
    ///
    /// # Errors
    ///
    /// As [`Pool::apply_async`]; on an error, neither callback is called.
    pub fn map_async_with<A, T, E, F>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunksize: Option<usize>,
        callback: impl FnOnce(Vec<T>) + Send + 'static,
        error_callback: impl FnOnce(PoolError) + Send + 'static,
    ) -> Result<AsyncResult<Vec<T>>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        let items: Vec<A> = items.into_iter().collect();
        let chunksize = self.chunksize(items.len(), chunksize);
        let callback = either(callback, error_callback);
        self.submit(name(function)?, &items, chunksize, all, callback)
    }

    /// Submits a task for each item, and returns an iterator over the results in the order of completion.
    ///
    /// A worker takes `chunksize` items at a time, one by default.
    ///
    /// # Errors
    ///
    /// As [`Pool::apply_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::{Pool, init, task};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     init([task(double)]);
    ///     let pool = Pool::with_workers(2)?;
    ///     let mut sum = 0;
    ///     for result in pool.imap_unordered(double, 1..=100, Some(10))? {
    ///         sum += result?;
    ///     }
    ///     assert_eq!(sum, 10_100);
    ///     Ok(())
    /// }
    ///
    /// fn double(number: u32) -> Result<u32, String> {
    ///     Ok(2 * number)
    /// }
    /// ```
    pub fn imap_unordered<A, T, E, F>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunksize: Option<usize>,
    ) -> Result<Unordered<T>, PoolError>
    where
        A: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned,
        E: fmt::Display,
        F: Fn(A) -> Result<T, E> + Copy + 'static,
    {
        let name = name(function)?;
        self.ensure_open()?;
        let items: Vec<A> = items.into_iter().collect();
        let chunksize = chunksize.unwrap_or(1).max(1);
        let sizes: Vec<usize> = items.chunks(chunksize).map(<[A]>::len).collect();
        let (sender, parts) = mpsc::channel();
        // Fails if the iterator was dropped; the result is not needed then.
        let job = move |index: usize, result| drop(sender.send((sizes[index], result)));
        self.submit_chunks(name, &items, chunksize, Arc::new(job));
        Ok(Unordered {
            parts,
            ready: Vec::new().into_iter(),
        })
    }

    fn ensure_open(&self) -> Result<(), PoolError> {
        self.shared.state().refusal().map_or(Ok(()), Err)
    }

    fn chunksize(&self, items: usize, asked: Option<usize>) -> usize {
        asked.unwrap_or(items.div_ceil(4 * self.workers)).max(1)
    }

    fn submit<A: Serialize, V: 'static>(
        &self,
        name: &str,
        arguments: &[A],
        chunksize: usize,
        decode: Decode<V>,
        callback: Option<Callback<V>>,
    ) -> Result<AsyncResult<V>, PoolError> {
        self.ensure_open()?;
        let parts = arguments.len().div_ceil(chunksize);
        let progress = Arc::new(Progress {
            parts: Mutex::new(Parts {
                results: (0..parts).map(|_| None).collect(),
                missing: parts,
            }),
            done: Condvar::new(),
        });
        let (job, callback) = (Arc::clone(&progress), Mutex::new(callback));
        let finished = move |progress: &Progress| {
            if let Some(callback) = unpoisoned(callback.lock()).take() {
                callback(progress.value(decode));
            }
        };
        if parts == 0 {
            finished(&progress);
        }
        self.submit_chunks(
            name,
            arguments,
            chunksize,
            Arc::new(move |index, result| {
                if job.set(index, result) {
                    finished(&job);
                }
            }),
        );
        Ok(AsyncResult { progress, decode })
    }

    fn submit_chunks<A: Serialize>(
        &self,
        name: &str,
        arguments: &[A],
        chunksize: usize,
        job: Arc<dyn Fn(usize, PartResult) + Send + Sync>,
    ) {
        let mut chunks = arguments.chunks(chunksize).enumerate().peekable();
        // Submit in batches, so that workers run the first tasks while this thread encodes the rest.
        while chunks.peek().is_some() {
            let (mut batch, mut bytes, mut finished) = (Vec::new(), 0, Vec::new());
            while batch.len() < BATCH
                && bytes < BATCH_BYTES
                && let Some((index, arguments)) = chunks.next()
            {
                let job = Arc::clone(&job);
                let part = Part { job, index };
                match encode_chunk(name, arguments) {
                    Ok(item) => {
                        bytes += item.len();
                        batch.push(Chunk { item, part });
                    }
                    Err(error) => finished.push((part, Err(PoolError::Channel(error.to_string())))),
                }
            }
            let mut state = self.shared.state();
            if let Some(error) = state.refusal() {
                let refused = |chunk: Chunk| (chunk.part, Err(error.clone()));
                finished.extend(batch.into_iter().map(refused));
            } else {
                state.waiting.extend(batch);
                finished.append(&mut self.shared.feed(&mut state));
            }
            drop(state);
            finish(finished);
        }
    }

    /// Closes the pool: it accepts no more tasks, and the workers end when all submitted tasks are done.
    ///
    /// # Errors
    ///
    /// Fails only if the shared memory is damaged.
    pub fn close(&self) -> io::Result<()> {
        let mut state = self.shared.state();
        state.closed = true;
        self.shared.end_if_over(&state)
    }

    /// Closes the pool, and blocks until all tasks are done and all workers have ended.
    ///
    /// # Errors
    ///
    /// When called in a callback, fails with [`PoolError::InCallback`] inside and terminates the pool.
    pub fn join(mut self) -> io::Result<()> {
        if CALLS_BACK.get() {
            return Err(PoolError::InCallback.into());
        }
        self.close()?;
        self.join_threads();
        Ok(())
    }

    /// Kills the workers. Tasks that are not done fail with [`PoolError::Terminated`].
    pub fn terminate(self) {
        drop(self);
    }

    fn join_threads(&mut self) {
        let threads = mem::take(&mut self.threads);
        let this = thread::current().id();
        // A callback may own the pool. Its thread cannot join itself; both threads end after the callback returns.
        if threads.iter().all(|thread| thread.thread().id() != this) {
            // The threads do not panic. If one did, the panic hook has printed the message.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        (state.closed, state.terminated) = (true, true);
        drop(state);
        self.shared.wake();
        self.join_threads();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    /// Makes the thread that watches the workers check the state.
    fn wake(&self) {
        // It cannot fail: the counter never gets full, because the thread resets it.
        rustix::io::write(&self.control, &1_u64.to_ne_bytes()).ok();
    }
}

/// The thread that collects the results.
impl Shared {
    fn collect(&self) {
        CALLS_BACK.set(true);
        let ended = self.collect_until_the_end();
        // Without it a writer could block forever, because this thread no longer reads.
        self.results.close().ok();
        let mut state = self.state();
        let left = self.take_all(&mut state);
        let error = match ended {
            Ok(()) => PoolError::Terminated,
            Err(error) => {
                let reason = format!("collect the results: {error}");
                (state.failure, state.terminated) = (Some(reason.clone()), true);
                PoolError::Channel(reason)
            }
        };
        drop(state);
        self.started.notify_all();
        self.wake();
        fail(left, &error);
    }

    fn collect_until_the_end(&self) -> io::Result<()> {
        loop {
            let Outcome::Done(messages) = self.results.get_some(BATCH)? else {
                return Ok(());
            };
            let mut state = self.state();
            let (mut finished, mut ended) = (Vec::new(), false);
            for message in messages {
                // Only this module writes messages, and each has a header.
                let Some((kind, number)) = head(&message) else {
                    continue;
                };
                match kind {
                    READY => self.ready(&mut state, number as usize),
                    NEWS => self.learn(&mut state, &mut finished),
                    END => ended = true,
                    // The chunk may have been removed when its worker died or the pool was terminated.
                    kind => finished.extend(state.done(number).map(|part| match kind {
                        DONE => (part, Ok(message)),
                        _ => {
                            let reason = String::from_utf8_lossy(&message[HEAD..]).into_owned();
                            (part, Err(PoolError::Channel(reason)))
                        }
                    })),
                }
            }
            finished.append(&mut self.feed(&mut state));
            let over = self.end_if_over(&state);
            drop(state);
            // Deliver these results before reporting an error: they have arrived.
            finish(finished);
            over?;
            if ended {
                return Ok(());
            }
        }
    }

    fn ready(&self, state: &mut State, worker: usize) {
        state.ready[worker] = true;
        state.complete |= !state.ready.contains(&false);
        if state.complete && !state.terminated {
            state.failure = None;
        }
        self.started.notify_all();
    }

    /// Handles the oldest event: a worker has ended or failed to start.
    fn learn(&self, state: &mut State, finished: &mut Vec<Finished>) {
        let (worker, reason) = match state.news.pop_front() {
            Some(News::Died {
                worker,
                exit,
                taken,
            }) => {
                if let Some(part) = taken.and_then(|number| state.done(number)) {
                    finished.push((part, Err(PoolError::WorkerDied(exit))));
                }
                if mem::take(&mut state.ready[worker]) {
                    state.starting.push(worker);
                    return self.wake();
                }
                let reason = format!(
                    "a worker ended before it was ready ({exit}); call multiproc::init first in main"
                );
                (worker, reason)
            }
            Some(News::NotStarted { worker, reason }) => (worker, reason),
            None => return,
        };
        state.ready[worker] = false;
        // The other workers run the tasks until this one starts.
        if state.complete && state.ready.contains(&true) {
            return;
        }
        let error = PoolError::NoWorkers(reason.clone());
        state.failure = Some(reason);
        let left = self.take_all(state);
        finished.extend(left.into_iter().map(|part| (part, Err(error.clone()))));
        self.started.notify_all();
    }

    /// Removes all chunks that are not done.
    fn take_all(&self, state: &mut State) -> Vec<Part> {
        let (mut item, now) = (Vec::new(), Some(Instant::now()));
        while matches!(
            self.tasks.get_into(&mut item, None, now),
            Ok(Outcome::Done(()))
        ) {}
        state.first += state.given.len() as u64;
        let given = state.given.drain(..).flatten();
        let waiting = state.waiting.drain(..).map(|chunk| chunk.part);
        given.chain(waiting).collect()
    }

    /// Puts waiting chunks into the ring while there is room. If the ring is full, the workers are busy, and the next result
    /// calls this again.
    fn feed(&self, state: &mut State) -> Vec<Finished> {
        let mut finished = Vec::new();
        while !state.waiting.is_empty() {
            let next = state.first + state.given.len() as u64;
            for (number, chunk) in (next..).zip(state.waiting.iter_mut().take(BATCH)) {
                chunk.item[..NUMBER].copy_from_slice(&number.to_le_bytes());
            }
            let items = state.waiting.iter().take(BATCH);
            let items: Vec<&[u8]> = items.map(|chunk| &chunk.item[..]).collect();
            let offered = items.len();
            match self.tasks.put_some(&items) {
                Ok(count) => {
                    let given = state.waiting.drain(..count);
                    state.given.extend(given.map(|chunk| Some(chunk.part)));
                    if count < offered {
                        break;
                    }
                }
                Err(error) => {
                    let error = PoolError::Channel(error.to_string());
                    let refused = state.waiting.pop_front();
                    finished.extend(refused.map(|chunk| (chunk.part, Err(error))));
                }
            }
        }
        finished
    }

    /// Lets the workers end if the pool is closed and all tasks are done.
    fn end_if_over(&self, state: &State) -> io::Result<()> {
        if state.is_over() {
            self.tasks.close()?;
            self.wake();
        }
        Ok(())
    }
}

impl State {
    /// Returns the reason why the pool refuses tasks, if it does.
    fn refusal(&self) -> Option<PoolError> {
        match &self.failure {
            _ if self.closed => Some(PoolError::Closed),
            Some(reason) => Some(PoolError::NoWorkers(reason.clone())),
            None => self.terminated.then_some(PoolError::Terminated),
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.waiting.is_empty() && self.given.is_empty()
    }

    /// Removes the chunk with this number.
    fn done(&mut self, number: u64) -> Option<Part> {
        let place = number.checked_sub(self.first)?;
        let part = self.given.get_mut(usize::try_from(place).ok()?)?.take();
        while let Some(None) = self.given.front() {
            self.given.pop_front();
            self.first += 1;
        }
        part
    }
}

/// Returns the name under which workers look a task up.
fn name<F: Copy + 'static>(function: F) -> Result<&'static str, PoolError> {
    stateless(function);
    let name = type_name::<F>();
    if is_task::<F>() {
        Ok(name)
    } else {
        Err(PoolError::UnknownTask(name.to_owned()))
    }
}

/// Space for the chunk's number, then the function's name, then the arguments.
fn encode_chunk<A: Serialize>(name: &str, arguments: &[A]) -> Result<Vec<u8>, EncodingError> {
    let mut item = Vec::with_capacity(NUMBER + 2 + name.len() + 16 + size_of_val(arguments));
    item.extend([0; NUMBER]);
    item = encode(name, item)?;
    encode(arguments, item)
}

type Finished = (Part, PartResult);

/// Delivers results. The caller must hold no lock, because callbacks may submit tasks.
fn finish(finished: Vec<Finished>) {
    for (Part { job, index }, result) in finished {
        // A panic in a callback has been printed, and must not stop the delivery of the other results.
        panic::catch_unwind(AssertUnwindSafe(|| job(index, result))).ok();
    }
}

fn fail(parts: Vec<Part>, error: &PoolError) {
    let failed = |part| (part, Err(error.clone()));
    finish(parts.into_iter().map(failed).collect());
}

/// The thread that starts the workers and waits for them. It outlives them: the kernel kills a child when the thread that
/// started it ends.
impl Shared {
    fn watch(&self, workers: usize) {
        let mut slots: Vec<Option<Worker>> = (0..workers).map(|_| None).collect();
        if let Err(error) = self.watch_until_the_end(&mut slots) {
            let mut state = self.state();
            let reason = format!("watch the workers: {error}");
            (state.failure, state.terminated) = (Some(reason), true);
        }
        drop(slots); // Kills the workers.
        self.announce(END);
    }

    fn watch_until_the_end(&self, slots: &mut [Option<Worker>]) -> io::Result<()> {
        let mut retry: Option<Instant> = None;
        loop {
            let mut state = self.state();
            let starting = mem::take(&mut state.starting);
            let (over, terminated) = (state.is_over(), state.terminated);
            drop(state);
            if terminated || over && slots.iter().all(Option::is_none) {
                return Ok(());
            }
            for worker in starting {
                if slots[worker].is_none() && !over {
                    match self.start(worker) {
                        Ok(started) => slots[worker] = Some(started),
                        Err(error) => self.tell(News::NotStarted {
                            worker,
                            reason: error.to_string(),
                        }),
                    }
                }
            }
            // Store a point in time, so that other wake-ups do not delay the retry.
            retry = slots
                .iter()
                .any(Option::is_none)
                .then(|| retry.unwrap_or_else(|| Instant::now() + RETRY));
            let left = retry.map(|retry| retry.saturating_duration_since(Instant::now()));
            let left = left.map(Timespec::try_from).transpose();
            let left = left.map_err(io::Error::other)?;
            let mut fds = vec![PollFd::new(&self.control, PollFlags::IN)];
            let pidfds = slots.iter().flatten().map(|worker| &worker.pidfd);
            fds.extend(pidfds.map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
            match poll(&mut fds, left.as_ref()) {
                Err(Errno::INTR) => continue,
                events => events?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready[0] {
                rustix::io::read(&self.control, &mut [0; 8])?;
            }
            if retry.is_some_and(|retry| retry <= Instant::now()) {
                retry = None;
                self.state().starting.extend(0..slots.len());
            }
            let present = (0..)
                .zip(slots.iter_mut())
                .filter(|(_, slot)| slot.is_some());
            for ((worker, slot), ready) in present.zip(&ready[1..]) {
                if let Some(ended) = slot.take_if(|_| *ready) {
                    let exit = ended.process.join()?;
                    let taken = self.tasks.taken_by(worker)?;
                    self.tell(News::Died {
                        worker,
                        exit,
                        taken,
                    });
                }
            }
        }
    }

    fn start(&self, worker: usize) -> io::Result<Worker> {
        let process = start_worker(work, &(worker, &self.tasks, &self.results))?;
        let pidfd = pidfd_open(process.raw_pid(), PidfdFlags::empty()).context("watch a worker")?;
        Ok(Worker { process, pidfd })
    }

    /// The message comes after everything that the worker put, so its last results are not lost.
    fn tell(&self, news: News) {
        self.state().news.push_back(news);
        self.announce(NEWS);
    }

    fn announce(&self, kind: u8) {
        // Fails if the ring is closed; the collector has ended then.
        self.results.put(&message(kind, 0), None).ok();
    }
}

struct Worker {
    process: Process,
    pidfd: OwnedFd,
}

fn start_worker<F>(_: F, arguments: &(usize, &Ring, &Ring)) -> io::Result<Process>
where
    F: Fn((usize, Ring, Ring)) -> io::Result<()> + Copy + 'static,
{
    let child = spawn::start::<F>(arguments, Some(getpid()), |_| {});
    child.context("start a worker").map(Process::from)
}

fn message(kind: u8, number: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.push(kind);
    message.extend_from_slice(&number.to_le_bytes());
    message
}

fn head(message: &[u8]) -> Option<(u8, u64)> {
    let (kind, rest) = message.split_first()?;
    Some((*kind, u64::from_le_bytes(*rest.first_chunk()?)))
}

/// The process of a worker: runs chunks of tasks until the pool ends.
pub(crate) fn work((worker, tasks, results): (usize, Ring, Ring)) -> io::Result<()> {
    keep_panics();
    let mut put = results.put(&message(READY, worker as u64), None)?;
    let mut item = Vec::new();
    while put == Outcome::Done(())
        && tasks.get_into(&mut item, Some(worker), None)? == Outcome::Done(())
    {
        let (number, chunk) = item
            .split_first_chunk()
            .context("a chunk without a number")?;
        let number = u64::from_le_bytes(*number);
        let answer = run(chunk, message(DONE, number));
        put = match answer.and_then(|answer| results.put(&answer, None)) {
            Ok(put) => put,
            Err(error) => {
                let mut answer = message(UNABLE, number);
                answer.extend(error.to_string().bytes());
                results.put(&answer, None)?
            }
        };
    }
    Ok(())
}

/// Stores the panics of this thread instead of printing them; the caller gets them as errors.
fn keep_panics() {
    let (this, hook) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != this {
            return hook(info);
        }
        let message = info.payload_as_str().unwrap_or("(not a text)");
        let place = info.location().map_or(String::new(), ToString::to_string);
        PANIC.set(Some((message.to_owned(), place)));
    }));
}

/// Runs the tasks of a chunk, and appends their results to `answer`.
fn run(chunk: &[u8], answer: Vec<u8>) -> io::Result<Vec<u8>> {
    let (name, arguments) = postcard::take_from_bytes::<&str>(chunk)
        .map_err(io::Error::other)
        .context("read the function's name")?;
    let Some(run) = find_task(name) else {
        return Err(io::Error::other(format!(
            "the worker does not know {name}: main has called multiproc::init with other functions than in its parent"
        )));
    };
    run(arguments, answer).context(format_args!("in {name}"))
}

fn run_chunk<A, T, E, F>(arguments: &[u8], mut answer: Vec<u8>) -> Result<Vec<u8>, EncodingError>
where
    A: DeserializeOwned,
    T: Serialize,
    E: fmt::Display,
    F: Fn(A) -> Result<T, E> + Copy,
{
    let function = summon::<F>();
    let arguments: Vec<A> = decode(arguments)?;
    let mut results = Results {
        outputs: Vec::with_capacity(arguments.len()),
        failures: Vec::new(),
    };
    for (place, argument) in arguments.into_iter().enumerate() {
        match run_task(|| function(argument)) {
            Ok(output) => results.outputs.push(output),
            Err(failure) => results.failures.push((place, failure)),
        }
    }
    answer.reserve(size_of_val(&results.outputs[..]));
    encode(&results, answer)
}

fn run_task<T, E: fmt::Display>(task: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
    match panic::catch_unwind(AssertUnwindSafe(task)) {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(Failure::Error(format!("{error:#}"))),
        Err(_) => {
            let (message, place) = PANIC.take().unwrap_or_default();
            Err(Failure::Panic { message, place })
        }
    }
}

/// The results of a chunk: the values in task order, and each failure with the index of its task.
#[derive(Serialize, Deserialize)]
struct Results<V> {
    outputs: Vec<V>,
    failures: Vec<(usize, Failure)>,
}

/// The failure of a task, as it is sent to the caller.
#[derive(Serialize, Deserialize)]
enum Failure {
    Error(String),
    Panic { message: String, place: String },
}

impl From<Failure> for PoolError {
    fn from(failure: Failure) -> PoolError {
        match failure {
            Failure::Error(message) => PoolError::Failed(message),
            Failure::Panic { message, place } => PoolError::Panicked { message, place },
        }
    }
}

/// The result of a task or of a `map` that may still be running: Python's `AsyncResult`.
///
/// Dropping it does not stop the task.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use std::time::Duration;
///
/// use multiproc::{Pool, PoolError, init, task};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     init([task(sleep)]);
///     let pool = Pool::with_workers(1)?;
///     let result = pool.apply_async(sleep, 100)?;
///     assert!(matches!(
///         result.get_timeout(Duration::ZERO),
///         Err(PoolError::TimedOut)
///     ));
///     assert_eq!(result.get()?, 100);
///     assert_eq!(result.successful(), Some(true));
///     Ok(())
/// }
///
/// fn sleep(milliseconds: u64) -> Result<u64, String> {
///     thread::sleep(Duration::from_millis(milliseconds));
///     Ok(milliseconds)
/// }
/// ```
pub struct AsyncResult<V> {
    progress: Arc<Progress>,
    decode: Decode<V>,
}

type Decode<V> = fn(&[Option<PartResult>]) -> Result<V, PoolError>;

type Callback<V> = Box<dyn FnOnce(Result<V, PoolError>) + Send>;

struct Progress {
    parts: Mutex<Parts>,
    done: Condvar,
}

struct Parts {
    results: Vec<Option<PartResult>>,
    missing: usize,
}

impl<V> AsyncResult<V> {
    /// Blocks until the task is done, and returns its value. Later calls return the same value.
    ///
    /// # Errors
    ///
    /// The error of the task, or [`PoolError::InCallback`] in a callback while the task is not done.
    pub fn get(&self) -> Result<V, PoolError> {
        self.progress.wait(None)?;
        self.progress.value(self.decode)
    }

    /// Blocks until the task is done, at most for `timeout`, and returns its value.
    ///
    /// # Errors
    ///
    /// [`PoolError::TimedOut`] if the task is not done in time; it keeps running. Otherwise as [`AsyncResult::get`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<V, PoolError> {
        match self.wait(timeout)? {
            true => self.progress.value(self.decode),
            false => Err(PoolError::TimedOut),
        }
    }

    /// Blocks until the task is done, at most for `timeout`, and returns whether it is done.
    ///
    /// # Errors
    ///
    /// [`PoolError::InCallback`] in a callback while the task is not done.
    pub fn wait(&self, timeout: Duration) -> Result<bool, PoolError> {
        self.progress.wait(Some(timeout))
    }

    /// Returns whether the task is done.
    pub fn ready(&self) -> bool {
        unpoisoned(self.progress.parts.lock()).missing == 0
    }

    /// Returns whether the task succeeded, or `None` while it is not done.
    pub fn successful(&self) -> Option<bool> {
        self.ready()
            .then(|| self.progress.value(self.decode).is_ok())
    }
}

impl<V> fmt::Debug for AsyncResult<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult")
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// Stores a part, and returns whether all parts are now present.
    fn set(&self, index: usize, result: PartResult) -> bool {
        let mut parts = unpoisoned(self.parts.lock());
        parts.results[index] = Some(result);
        parts.missing -= 1;
        let last = parts.missing == 0;
        drop(parts);
        if last {
            self.done.notify_all();
        }
        last
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<bool, PoolError> {
        let parts = unpoisoned(self.parts.lock());
        if parts.missing == 0 {
            return Ok(true);
        }
        if CALLS_BACK.get() {
            return Err(PoolError::InCallback);
        }
        let missing = |parts: &mut Parts| parts.missing > 0;
        let Some(timeout) = timeout else {
            drop(unpoisoned(self.done.wait_while(parts, missing)));
            return Ok(true);
        };
        let waited = self.done.wait_timeout_while(parts, timeout, missing);
        Ok(unpoisoned(waited).0.missing == 0)
    }

    fn value<V>(&self, decode: Decode<V>) -> Result<V, PoolError> {
        decode(&unpoisoned(self.parts.lock()).results)
    }
}

/// Reads the results of one part.
fn results<V: DeserializeOwned>(part: &Option<PartResult>) -> Result<Results<V>, PoolError> {
    match part {
        Some(Ok(message)) => {
            decode(&message[HEAD..]).map_err(|error| PoolError::Channel(error.to_string()))
        }
        Some(Err(error)) => Err(error.clone()),
        None => Err(PoolError::TimedOut),
    }
}

fn all<T: DeserializeOwned>(parts: &[Option<PartResult>]) -> Result<Vec<T>, PoolError> {
    let mut all = Vec::new();
    for part in parts {
        let results = results(part)?;
        if let Some((_, failure)) = results.failures.into_iter().next() {
            return Err(failure.into());
        }
        let mut outputs = results.outputs;
        if all.is_empty() {
            all.reserve(outputs.len() * parts.len());
        }
        all.append(&mut outputs);
    }
    Ok(all)
}

fn only<T: DeserializeOwned>(parts: &[Option<PartResult>]) -> Result<T, PoolError> {
    let none = || PoolError::Channel("the worker sent no result".to_owned());
    all(parts)?.pop().ok_or_else(none)
}

fn either<V: 'static>(
    callback: impl FnOnce(V) + Send + 'static,
    error_callback: impl FnOnce(PoolError) + Send + 'static,
) -> Option<Callback<V>> {
    Some(Box::new(|result| match result {
        Ok(value) => callback(value),
        Err(error) => error_callback(error),
    }))
}

/// The results of [`Pool::imap_unordered`], one for each item.
///
/// `next` blocks until a result arrives. In a callback it would block forever, so there it returns
/// [`PoolError::InCallback`] and the iterator ends. Dropping the iterator does not stop the tasks.
pub struct Unordered<V> {
    /// The size and the results of each chunk.
    parts: Receiver<(usize, PartResult)>,
    ready: vec::IntoIter<Result<V, PoolError>>,
}

impl<V> Unordered<V> {
    /// Returns the next chunk; `None` after the last one.
    fn next_part(&mut self) -> Option<(usize, PartResult)> {
        if !CALLS_BACK.get() {
            return self.parts.recv().ok();
        }
        match self.parts.try_recv() {
            Ok(part) => Some(part),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                // The channel has no sender left, so this result is the last one.
                self.parts = mpsc::channel().1;
                Some((1, Err(PoolError::InCallback)))
            }
        }
    }
}

impl<V: DeserializeOwned> Iterator for Unordered<V> {
    type Item = Result<V, PoolError>;

    fn next(&mut self) -> Option<Result<V, PoolError>> {
        while self.ready.len() == 0 {
            let (size, part) = self.next_part()?;
            let each: Vec<_> = match results(&Some(part)) {
                Ok(results) => {
                    let mut outputs = results.outputs.into_iter();
                    let mut failures = results.failures.into_iter().peekable();
                    let one = |place| match failures.next_if(|(failed, _)| *failed == place) {
                        Some((_, failure)) => Some(Err(failure.into())),
                        None => outputs.next().map(Ok),
                    };
                    (0..size).filter_map(one).collect()
                }
                Err(error) => (0..size).map(|_| Err(error.clone())).collect(),
            };
            self.ready = each.into_iter();
        }
        self.ready.next()
    }
}

impl<V> fmt::Debug for Unordered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unordered").finish_non_exhaustive()
    }
}

/// Locks a mutex, ignoring poisoning: the state is consistent at every step, even after a panic in another thread.
fn unpoisoned<T>(locked: LockResult<T>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
