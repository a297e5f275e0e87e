//! `Pool`: worker processes that run tasks, and that may be killed.
//!
//! Python:  `multiprocessing.Pool`
//! Differs: a task is a type that the workers know by its name, because no function crosses into another process. A
//!          worker that is killed fails its task and is replaced; Python's pool waits for ever (cpython #96062).
//!          The workers are spawned, and so may be replaced while other threads run.
//! Linux:   pidfds, to wait for the end of any worker, and what the channel needs.
//! Needs:   fork_demo/multiprocessing.rs, queue_demo/channel.rs, queue_demo/event.rs, queue_demo/memory.rs, queue_demo/monitor.rs
//! Needs:   queue_demo/socket.rs (or queue_demo/ring.rs), shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! rustix = { version = "1", features = ["event", "process"] }
//! serde = { version = "1", features = ["derive"] }
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{error, fmt, mem, vec};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{PidfdFlags, pidfd_open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, MARKS, Outcome};
use crate::multiprocessing::{Exit, Process, command, role};

/// Something for a worker to do: its fields are the arguments, `run` is the function.
///
/// It travels, as does its output, in postcard's format, which does not name the fields: `skip_serializing_if`,
/// `untagged`, `flatten` and types like `serde_json::Value` do not arrive as they were sent. For bulk bytes take
/// `serde_bytes::ByteBuf`; serde walks through a `Vec<u8>` byte by byte.
pub trait Task: Serialize + DeserializeOwned + 'static {
    /// What the workers know the task by. [`serve`] refuses two tasks with the same.
    const NAME: &'static str;

    type Output: Serialize + DeserializeOwned + 'static;

    /// Does it, in a worker. An error or a panic comes back to the caller, with its message. For an error of a type of your
    /// own, let the output be a `Result`.
    fn run(self) -> Result<Self::Output>;
}

/// A task in the list that [`serve`] takes.
pub struct Entry {
    name: &'static str,
    run: fn(&[u8], Vec<u8>) -> postcard::Result<Vec<u8>>,
}

/// Makes a task known to the workers.
pub fn entry<T: Task>() -> Entry {
    Entry {
        name: T::NAME,
        run: run_chunk::<T>,
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum PoolError {
    /// The task returned an error; its message.
    Failed(String),
    /// The task panicked.
    Panicked { message: String, place: String },
    /// The worker ended in the middle of the task, or of another in the same chunk.
    #[serde(skip)]
    WorkerDied(Exit),
    /// There was no result in time; Python's `TimeoutError`.
    TimedOut,
    /// The pool takes no more tasks; Python's `ValueError`.
    Closed,
    /// The pool was terminated or dropped before the task was done.
    Terminated,
    /// There are no workers, because they do not start.
    NoWorkers(String),
    /// A callback must not wait for tasks: their results are collected when it has returned.
    InCallback,
    /// The task or its result could not be carried from one process to the other.
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
            PoolError::Closed => f.write_str("the pool is closed"),
            PoolError::Terminated => {
                f.write_str("the pool was terminated before the task was done")
            }
            PoolError::NoWorkers(reason) => write!(f, "the pool has no workers: {reason}"),
            PoolError::InCallback => f.write_str("a callback must not wait for tasks"),
            PoolError::Channel(reason) => write!(f, "the task or its result: {reason}"),
        }
    }
}

impl error::Error for PoolError {}

/// Worker processes of this program, which run tasks. `C` carries these to them:
/// [`Socket`](crate::socket::Socket) or [`Ring`](crate::ring::Ring).
///
/// Tasks are begun in the order they were handed in, each by the worker that is free first. A task whose worker is
/// killed fails with [`PoolError::WorkerDied`]; it is not tried again, because it may have done half of its work. All
/// others are done, by the other workers and the one that replaces it. Dropping the pool terminates it.
///
/// Two threads of this process belong to the pool: one collects the results and runs the callbacks, one starts the
/// workers and waits for their end. Who wants to fork does so before. If this process is killed, so are the workers.
/// They are this program's file, as it is when they are started: a new build takes effect with the next of them.
///
/// Cost of a chunk: a `put` and a `get` of the channel each way.
pub struct Pool<C> {
    shared: Arc<Shared<C>>,
    workers: usize,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a pool share.
struct Shared<C> {
    tasks: C,
    results: C,
    state: Mutex<State>,
    /// A worker is ready, or does not start.
    started: Condvar,
    /// Wakes the thread that watches the workers.
    control: PipeWriter,
}

#[derive(Default)]
struct State {
    /// Chunks that the channel had no room for.
    waiting: VecDeque<Chunk>,
    /// Chunks in the channel or in a worker's hands, from the number `first` on; `None` for one that is done. A chunk's
    /// number is how many were put before it, and so the one by which the channel says who has taken it.
    given: VecDeque<Option<Part>>,
    first: u64,
    /// Which workers have said that they are ready.
    ready: Vec<bool>,
    /// What has become of workers, in order, each announced by a message among the results.
    news: VecDeque<News>,
    /// Workers to be started.
    starting: Vec<usize>,
    /// All workers were ready, once.
    complete: bool,
    /// Why there are no workers.
    failure: Option<String>,
    closed: bool,
    terminated: bool,
}

/// Tasks that one worker does in one go, encoded.
struct Chunk {
    item: Vec<u8>,
    part: Part,
}

/// Where the results of a chunk belong.
struct Part {
    job: Arc<dyn Fn(usize, PartResult) + Send + Sync>,
    index: usize,
}

/// The message with the results of a chunk; an error holds for all its tasks.
type PartResult = Result<Vec<u8>, PoolError>;

enum News {
    Died {
        worker: usize,
        exit: Exit,
        /// The chunk that it has taken last.
        taken: Option<u64>,
    },
    NotStarted {
        worker: usize,
        reason: String,
    },
}

/// The first byte of a message among the results; a number of eight bytes follows.
const READY: u8 = 0;
const DONE: u8 = 1;
const UNABLE: u8 = 2;
const NEWS: u8 = 3;
const END: u8 = 4;

/// The size of a number, in front of a chunk's tasks and of a message's text.
const NUMBER: usize = mem::size_of::<u64>();

/// What is in front of a message's text.
const HEAD: usize = 1 + NUMBER;

/// How many chunks are put, and how many messages are got, in one go at most.
const BATCH: usize = 64;

/// No more chunks are put in one go than have so many bytes.
const BATCH_BYTES: usize = 16 << 10;

/// A worker's role begins like this; its number and the descriptors of the two channels follow.
const ROLE: &str = "pool-worker";

/// How long it is until a worker that did not start is tried again.
const RETRY: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread runs callbacks.
    static CALLS_BACK: Cell<bool> = const { Cell::new(false) };
    /// The last panic: the message and the place.
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

impl<C: Channel + 'static> Pool<C> {
    /// Starts a worker for each core, and blocks until they are ready.
    pub fn new() -> Result<Pool<C>> {
        Pool::with_workers(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Starts so many workers, 256 at most, and blocks until they are ready. Fails with the reason if one does not
    /// start, or ends before it calls [`serve`].
    pub fn with_workers(workers: usize) -> Result<Pool<C>> {
        ensure!(
            (1..=MARKS).contains(&workers),
            "a pool has 1 to {MARKS} workers, not {workers}"
        );
        ensure!(
            worker_role().is_none(),
            "this process is a worker: a task has no pool of its own, and `serve`, on this channel, stands first in main"
        );
        let (watched, control) = io::pipe().context("make a pipe")?;
        let shared = Arc::new(Shared {
            tasks: C::new(0, true).context("make a channel for tasks")?,
            results: C::new(0, false).context("make a channel for results")?,
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
        let watch = thread("pool workers").spawn(move || watching.watch(watched, workers));
        match watch {
            Ok(watch) => pool.threads.push(watch),
            Err(error) => {
                shared.results.close()?;
                return Err(error).context("start a thread");
            }
        }
        let starting = |state: &mut State| state.failure.is_none() && state.ready.contains(&false);
        let state = shared.started.wait_while(shared.state(), starting);
        let failure = unpoisoned(state).failure.take();
        failure.map_or(Ok(()), |reason| Err(PoolError::NoWorkers(reason)))?;
        Ok(pool)
    }

    /// Runs a task and blocks until it is done.
    pub fn apply<T: Task>(&self, task: T) -> Result<T::Output, PoolError> {
        self.apply_async(task)?.get()
    }

    /// Hands in a task and returns at once.
    pub fn apply_async<T: Task>(&self, task: T) -> Result<AsyncResult<T::Output>, PoolError> {
        self.submit(&[task], 1, only::<T>, None)
    }

    /// As [`Pool::apply_async`]; one of the two is called with what has come of the task, in a thread of the pool (or in
    /// this one, if the task cannot be handed in). It should be quick: no other result is collected meanwhile.
    pub fn apply_async_with<T: Task>(
        &self,
        task: T,
        callback: impl FnOnce(T::Output) + Send + 'static,
        error_callback: impl FnOnce(PoolError) + Send + 'static,
    ) -> Result<AsyncResult<T::Output>, PoolError> {
        let callback = either(callback, error_callback);
        self.submit(&[task], 1, only::<T>, callback)
    }

    /// Runs all tasks and blocks until they are done. The results are in the tasks' order; the first error in this
    /// order is returned instead, when all are done.
    ///
    /// A worker does `chunksize` tasks in one go; by default as many as make four chunks for each worker.
    pub fn map<T: Task>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        chunksize: Option<usize>,
    ) -> Result<Vec<T::Output>, PoolError> {
        self.map_async(tasks, chunksize)?.get()
    }

    /// Hands in tasks as [`Pool::map`] and returns at once.
    pub fn map_async<T: Task>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        chunksize: Option<usize>,
    ) -> Result<AsyncResult<Vec<T::Output>>, PoolError> {
        let tasks: Vec<T> = tasks.into_iter().collect();
        let chunksize = self.chunksize(tasks.len(), chunksize);
        self.submit(&tasks, chunksize, all::<T>, None)
    }

    /// As [`Pool::map_async`]; one of the two is called with what has come of it all, as in [`Pool::apply_async_with`].
    pub fn map_async_with<T: Task>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        chunksize: Option<usize>,
        callback: impl FnOnce(Vec<T::Output>) + Send + 'static,
        error_callback: impl FnOnce(PoolError) + Send + 'static,
    ) -> Result<AsyncResult<Vec<T::Output>>, PoolError> {
        let tasks: Vec<T> = tasks.into_iter().collect();
        let chunksize = self.chunksize(tasks.len(), chunksize);
        let callback = either(callback, error_callback);
        self.submit(&tasks, chunksize, all::<T>, callback)
    }

    /// Hands in tasks and returns an iterator over their results, in the order in which they are done: one for each
    /// task. By default each task is a chunk of its own.
    pub fn imap_unordered<T: Task>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        chunksize: Option<usize>,
    ) -> Result<Unordered<T::Output>, PoolError> {
        self.ensure_open()?;
        let tasks: Vec<T> = tasks.into_iter().collect();
        let chunksize = chunksize.unwrap_or(1).max(1);
        let sizes: Vec<usize> = tasks.chunks(chunksize).map(<[T]>::len).collect();
        let (sender, parts) = mpsc::channel();
        // Who drops the iterator does not want to know.
        let job = move |index: usize, result| drop(sender.send((sizes[index], result)));
        self.submit_chunks(&tasks, chunksize, Arc::new(job));
        Ok(Unordered {
            parts,
            ready: Vec::new().into_iter(),
        })
    }

    fn ensure_open(&self) -> Result<(), PoolError> {
        self.shared.state().refusal().map_or(Ok(()), Err)
    }

    fn chunksize(&self, tasks: usize, asked: Option<usize>) -> usize {
        asked.unwrap_or(tasks.div_ceil(4 * self.workers)).max(1)
    }

    fn submit<T: Task, V: 'static>(
        &self,
        tasks: &[T],
        chunksize: usize,
        decode: Decode<V>,
        callback: Option<Callback<V>>,
    ) -> Result<AsyncResult<V>, PoolError> {
        self.ensure_open()?;
        let parts = tasks.len().div_ceil(chunksize);
        let progress = Arc::new(Progress {
            parts: Mutex::new(Parts {
                results: (0..parts).map(|_| None).collect(),
                missing: parts,
            }),
            done: Condvar::new(),
        });
        let (job, callback) = (Arc::clone(&progress), Mutex::new(callback));
        let finished = move |progress: &Progress| {
            if let Some(callback) = lock(&callback).take() {
                callback(progress.value(decode));
            }
        };
        if parts == 0 {
            finished(&progress);
        }
        self.submit_chunks(
            tasks,
            chunksize,
            Arc::new(move |index, result| {
                if job.set(index, result) {
                    finished(&job);
                }
            }),
        );
        Ok(AsyncResult { progress, decode })
    }

    fn submit_chunks<T: Task>(
        &self,
        tasks: &[T],
        chunksize: usize,
        job: Arc<dyn Fn(usize, PartResult) + Send + Sync>,
    ) {
        let mut chunks = tasks.chunks(chunksize).enumerate().peekable();
        // The workers begin with the first while the last are still to be encoded.
        while chunks.peek().is_some() {
            let (mut batch, mut bytes, mut finished) = (Vec::new(), 0, Vec::new());
            while batch.len() < BATCH
                && bytes < BATCH_BYTES
                && let Some((index, tasks)) = chunks.next()
            {
                let job = Arc::clone(&job);
                let part = Part { job, index };
                match encode(tasks) {
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

    /// Takes no more tasks; the workers leave when all are done.
    pub fn close(&self) -> Result<()> {
        let mut state = self.shared.state();
        state.closed = true;
        self.shared.end_if_over(&state)
    }

    /// Closes the pool and blocks until all tasks are done and the workers have left. In a callback it cannot, and the
    /// pool is terminated.
    pub fn join(mut self) -> Result<()> {
        ensure!(!CALLS_BACK.get(), PoolError::InCallback);
        self.close()?;
        self.join_threads();
        Ok(())
    }
}

impl<C> Pool<C> {
    /// Kills the workers. What is not done fails with [`PoolError::Terminated`].
    pub fn terminate(self) {
        drop(self);
    }

    fn join_threads(&mut self) {
        let threads = mem::take(&mut self.threads);
        let this = thread::current().id();
        // A callback may own the pool; the threads then end after it.
        if threads.iter().all(|thread| thread.thread().id() != this) {
            // They do not panic; if one did, it has said so.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
    }
}

impl<C> Drop for Pool<C> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        (state.closed, state.terminated) = (true, true);
        drop(state);
        self.shared.wake();
        self.join_threads();
    }
}

impl<C> Shared<C> {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Has the thread that watches the workers look at the state.
    fn wake(&self) {
        // It fails when the thread has ended, and then there is nothing to look at.
        (&self.control).write_all(&[0]).ok();
    }
}

/// The thread that collects the results.
impl<C: Channel> Shared<C> {
    fn collect(&self) {
        CALLS_BACK.set(true);
        let ended = self.collect_until_the_end();
        // Nobody reads any more.
        self.results.close().ok();
        let mut state = self.state();
        let left = self.take_all(&mut state);
        let error = match ended {
            Ok(()) => PoolError::Terminated,
            Err(error) => {
                let reason = format!("collect the results: {error:#}");
                (state.failure, state.terminated) = (Some(reason.clone()), true);
                PoolError::Channel(reason)
            }
        };
        drop(state);
        self.started.notify_all();
        self.wake();
        fail(left, &error);
    }

    fn collect_until_the_end(&self) -> Result<()> {
        loop {
            let Outcome::Done(messages) = self.results.get_some(BATCH)? else {
                return Ok(());
            };
            let mut state = self.state();
            let (mut finished, mut ended) = (Vec::new(), false);
            for message in messages {
                // Messages are the pool's own, and have one.
                let number = number(message.get(1..).unwrap_or_default()).unwrap_or_default();
                match message[0] {
                    READY => self.ready(&mut state, number as usize),
                    NEWS => self.learn(&mut state, &mut finished),
                    END => ended = true,
                    // A chunk that was given up has no place any more.
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
            // Whatever else there is: these results have come.
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

    /// Takes note of a worker that has ended or was not started.
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
                let reason = format!("a worker ended before it was ready ({exit})");
                (worker, reason)
            }
            Some(News::NotStarted { worker, reason }) => (worker, reason),
            None => return,
        };
        state.ready[worker] = false;
        // The others do its work, and it is tried again.
        if state.complete && state.ready.contains(&true) {
            return;
        }
        let error = PoolError::NoWorkers(reason.clone());
        state.failure = Some(reason);
        let left = self.take_all(state);
        finished.extend(left.into_iter().map(|part| (part, Err(error.clone()))));
        self.started.notify_all();
    }

    /// Takes back all chunks that are not done.
    fn take_all(&self, state: &mut State) -> Vec<Part> {
        let nothing = |outcome| !matches!(outcome, Ok(Outcome::Done(_)));
        while !nothing(self.tasks.get(None, Some(Instant::now()))) {}
        state.first += state.given.len() as u64;
        let given = state.given.drain(..).flatten();
        let waiting = state.waiting.drain(..).map(|chunk| chunk.part);
        given.chain(waiting).collect()
    }

    /// Puts waiting chunks into the channel while there is room. Where there is none, a worker has still something to
    /// do, and when its result comes there is room.
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
                    let error = PoolError::Channel(format!("{error:#}"));
                    let refused = state.waiting.pop_front();
                    finished.extend(refused.map(|chunk| (chunk.part, Err(error))));
                }
            }
        }
        finished
    }

    /// Lets the workers leave if the pool is closed and all is done.
    fn end_if_over(&self, state: &State) -> Result<()> {
        if state.is_over() {
            self.tasks.close()?;
            self.wake();
        }
        Ok(())
    }
}

impl State {
    /// Why the pool takes no tasks, if it takes none.
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

    /// Takes out the chunk with this number.
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

/// A place for the number, the tasks' name, the tasks.
fn encode<T: Task>(tasks: &[T]) -> postcard::Result<Vec<u8>> {
    let mut item = Vec::with_capacity(64 + size_of_val(tasks));
    item.extend([0; NUMBER]);
    item = postcard::to_extend(T::NAME, item)?;
    postcard::to_extend(tasks, item)
}

type Finished = (Part, PartResult);

/// Passes results on. No lock is held, because callbacks may hand in tasks.
fn finish(finished: Vec<Finished>) {
    for (Part { job, index }, result) in finished {
        // Who panics in a callback has printed it, and the others are to get their results.
        panic::catch_unwind(AssertUnwindSafe(|| job(index, result))).ok();
    }
}

fn fail(parts: Vec<Part>, error: &PoolError) {
    let failed = |part| (part, Err(error.clone()));
    finish(parts.into_iter().map(failed).collect());
}

/// The thread that starts the workers and waits for their end.
impl<C: Channel> Shared<C> {
    fn watch(&self, mut woken: PipeReader, workers: usize) {
        let mut slots: Vec<Option<Worker>> = (0..workers).map(|_| None).collect();
        if let Err(error) = self.watch_until_the_end(&mut woken, &mut slots) {
            let mut state = self.state();
            let reason = format!("watch the workers: {error:#}");
            (state.failure, state.terminated) = (Some(reason), true);
        }
        drop(slots); // This kills those that are still there.
        self.announce(END);
    }

    fn watch_until_the_end(
        &self,
        woken: &mut PipeReader,
        slots: &mut [Option<Worker>],
    ) -> Result<()> {
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
                            reason: format!("{error:#}"),
                        }),
                    }
                }
            }
            // However often something else happens meanwhile.
            retry = slots
                .iter()
                .any(Option::is_none)
                .then(|| retry.unwrap_or_else(|| Instant::now() + RETRY));
            let left = retry.map(|retry| retry.saturating_duration_since(Instant::now()));
            let left = left.map(Timespec::try_from).transpose()?;
            let mut fds = vec![PollFd::new(&*woken, PollFlags::IN)];
            let pidfds = slots.iter().flatten().map(|worker| &worker.pidfd);
            fds.extend(pidfds.map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
            match poll(&mut fds, left.as_ref()) {
                Err(Errno::INTR) => continue,
                events => events?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready[0] {
                woken.read_exact(&mut [0])?;
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

    /// Starts this program again as a worker, and leaves it the channels.
    fn start(&self, worker: usize) -> Result<Worker> {
        let (tasks, results) = (self.tasks.fds(), self.results.fds());
        let numbers = |fds: &[BorrowedFd]| {
            let numbers: Vec<String> = fds.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
            numbers.join(",")
        };
        let (tasks_numbers, results_numbers) = (numbers(&tasks), numbers(&results));
        let mut command = command(&format!(
            "{ROLE}:{}:{worker}:{tasks_numbers}:{results_numbers}",
            C::NAME
        ))?;
        let fds: Vec<RawFd> = tasks
            .iter()
            .chain(&results)
            .map(AsRawFd::as_raw_fd)
            .collect();
        let keep = move || {
            fds.iter().try_for_each(|fd| {
                // SAFETY: the channels, and so their descriptors, are open for as long as workers are started.
                let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
                Ok(fcntl_setfd(fd, FdFlags::empty())?)
            })
        };
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(keep) };
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("start {:?} as a worker", command.get_program()));
        let process = Process::from(child?);
        let pidfd = pidfd_open(process.pid(), PidfdFlags::empty()).context("watch a worker")?;
        Ok(Worker { process, pidfd })
    }

    /// The message stands behind all that the worker has put, so its last results count.
    fn tell(&self, news: News) {
        self.state().news.push_back(news);
        self.announce(NEWS);
    }

    fn announce(&self, kind: u8) {
        // It fails when nobody collects any more.
        self.results.put(&message(kind, 0), None).ok();
    }
}

struct Worker {
    process: Process,
    pidfd: OwnedFd,
}

fn message(kind: u8, number: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.push(kind);
    message.extend_from_slice(&number.to_le_bytes());
    message
}

fn number(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.first_chunk().context("a message without a number")?;
    Ok(u64::from_le_bytes(*bytes))
}

/// Runs tasks if this process is a worker of a pool on this channel, and returns true when the pool has ended; returns
/// false at once if it is not. Call it first in `main`, with all tasks. What the workers need to have done before, like
/// the function that Python calls `initializer`, comes before it. Two tasks of the same name are an error, also here.
pub fn serve<C: Channel>(entries: &[Entry]) -> Result<bool> {
    for (place, entry) in entries.iter().enumerate() {
        let twice = entries[..place]
            .iter()
            .any(|other| other.name == entry.name);
        ensure!(!twice, "two tasks have the name {:?}", entry.name);
    }
    let role = worker_role().unwrap_or_default();
    let mut parts = role.split(':').skip(1);
    if parts.next() != Some(C::NAME) {
        return Ok(false);
    }
    let worker = parts.next().and_then(|number| number.parse().ok());
    let worker: usize = worker.context("a worker without a number")?;
    let tasks = channel::<C>(parts.next())?;
    let results = channel::<C>(parts.next())?;
    let (serving, hook) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != serving {
            return hook(info);
        }
        // The caller gets it; there is no need to print it as well.
        let message = info.payload_as_str().unwrap_or("something that is no text");
        let place = info.location().map_or(String::new(), ToString::to_string);
        PANIC.set(Some((message.to_owned(), place)));
    }));
    put(&results, &message(READY, worker as u64))?;
    let mut item = Vec::new();
    while tasks.get_into(&mut item, Some(worker), None)? == Outcome::Done(()) {
        let number = number(&item)?;
        let answer = run(entries, &item[NUMBER..], message(DONE, number));
        if let Err(error) = answer.and_then(|answer| put(&results, &answer)) {
            let mut answer = message(UNABLE, number);
            answer.extend(format!("{error:#}").bytes());
            put(&results, &answer)?;
        }
    }
    Ok(true)
}

/// The role of a worker, if that is what this process is.
fn worker_role() -> Option<String> {
    role().filter(|role| role.starts_with(ROLE))
}

/// The channel whose descriptors the parent has left open.
fn channel<C: Channel>(numbers: Option<&str>) -> Result<C> {
    let numbers = numbers.context("a worker without a channel")?.split(',');
    let fds = numbers.map(|number| {
        let number: RawFd = number.parse().context("a descriptor's number")?;
        // SAFETY: the pool has left the descriptor open for this process, and nobody else here knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        // What a task starts shall not inherit it.
        fcntl_setfd(&fd, FdFlags::CLOEXEC).context("a descriptor of the pool")?;
        Ok(fd)
    });
    C::from_fds(fds.collect::<Result<_>>()?)
}

fn put<C: Channel>(results: &C, message: &[u8]) -> Result<()> {
    let put = results.put(message, None)?;
    ensure!(put == Outcome::Done(()), "the pool has ended");
    Ok(())
}

/// Finds the tasks by their name and runs them; their results follow what is in `answer`.
fn run(entries: &[Entry], item: &[u8], answer: Vec<u8>) -> Result<Vec<u8>> {
    let (name, tasks) = postcard::take_from_bytes::<&str>(item).context("a task's name")?;
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        bail!("the workers know no task {name:?}, only {names:?}");
    };
    (entry.run)(tasks, answer).with_context(|| format!("carry task {name:?} or its result"))
}

fn run_chunk<T: Task>(tasks: &[u8], mut answer: Vec<u8>) -> postcard::Result<Vec<u8>> {
    let tasks: Vec<T> = postcard::from_bytes(tasks)?;
    let mut results = Results {
        outputs: Vec::with_capacity(tasks.len()),
        errors: Vec::new(),
    };
    for (place, task) in tasks.into_iter().enumerate() {
        match run_task(task) {
            Ok(output) => results.outputs.push(output),
            Err(error) => results.errors.push((place, error)),
        }
    }
    answer.reserve(size_of_val(&results.outputs[..]));
    postcard::to_extend(&results, answer)
}

fn run_task<T: Task>(task: T) -> Result<T::Output, PoolError> {
    match panic::catch_unwind(AssertUnwindSafe(|| task.run())) {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(PoolError::Failed(format!("{error:#}"))),
        Err(_) => {
            let (message, place) = PANIC.take().unwrap_or_default();
            Err(PoolError::Panicked { message, place })
        }
    }
}

/// What the tasks of a chunk have come to, in their order; each error with its place among them all.
#[derive(Serialize, Deserialize)]
struct Results<V> {
    outputs: Vec<V>,
    errors: Vec<(usize, PoolError)>,
}

/// The result of a task, or of a `map`, to be waited for.
///
/// Dropping it does not stop the task.
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
    /// Blocks until the task is done, and returns its result. May be called again, and returns the same again.
    pub fn get(&self) -> Result<V, PoolError> {
        self.progress.wait(None)?;
        self.progress.value(self.decode)
    }

    /// As [`AsyncResult::get`], but [`PoolError::TimedOut`] if it is not done in time; the task goes on.
    pub fn get_timeout(&self, timeout: Duration) -> Result<V, PoolError> {
        match self.wait(timeout)? {
            true => self.progress.value(self.decode),
            false => Err(PoolError::TimedOut),
        }
    }

    /// Blocks until the task is done, or the time is over. Returns whether it is done.
    pub fn wait(&self, timeout: Duration) -> Result<bool, PoolError> {
        self.progress.wait(Some(timeout))
    }

    /// Whether the task is done.
    pub fn ready(&self) -> bool {
        lock(&self.progress.parts).missing == 0
    }

    /// Whether the task has returned a value; `None` if it is not done.
    pub fn successful(&self) -> Option<bool> {
        self.ready()
            .then(|| self.progress.value(self.decode).is_ok())
    }
}

impl Progress {
    /// Returns true when that was the last part.
    fn set(&self, index: usize, result: PartResult) -> bool {
        let mut parts = lock(&self.parts);
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
        let parts = lock(&self.parts);
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
        decode(&lock(&self.parts).results)
    }
}

/// The results of one part.
fn results<V: DeserializeOwned>(part: &Option<PartResult>) -> Result<Results<V>, PoolError> {
    match part {
        Some(Ok(message)) => postcard::from_bytes(&message[HEAD..])
            .map_err(|error| PoolError::Channel(format!("read the result: {error}"))),
        Some(Err(error)) => Err(error.clone()),
        None => Err(PoolError::TimedOut),
    }
}

fn all<T: Task>(parts: &[Option<PartResult>]) -> Result<Vec<T::Output>, PoolError> {
    let mut outputs = Vec::new();
    for part in parts {
        let mut results = results(part)?;
        if !results.errors.is_empty() {
            return Err(results.errors.swap_remove(0).1);
        }
        if outputs.is_empty() {
            outputs.reserve(results.outputs.len() * parts.len());
        }
        outputs.append(&mut results.outputs);
    }
    Ok(outputs)
}

fn only<T: Task>(parts: &[Option<PartResult>]) -> Result<T::Output, PoolError> {
    let none = || PoolError::Channel("a task without a result".to_owned());
    all::<T>(parts)?.pop().ok_or_else(none)
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

/// The results of [`Pool::imap_unordered`]. `next` blocks until there is one.
pub struct Unordered<V> {
    /// The size and the results of each chunk.
    parts: Receiver<(usize, PartResult)>,
    ready: vec::IntoIter<Result<V, PoolError>>,
}

impl<V: DeserializeOwned> Iterator for Unordered<V> {
    type Item = Result<V, PoolError>;

    fn next(&mut self) -> Option<Result<V, PoolError>> {
        while self.ready.len() == 0 {
            let (size, part) = self.parts.recv().ok()?;
            let each: Vec<_> = match results(&Some(part)) {
                Ok(Results { outputs, errors }) => {
                    let mut each: Vec<_> = outputs.into_iter().map(Ok).collect();
                    for (place, error) in errors {
                        each.insert(place, Err(error));
                    }
                    each
                }
                Err(error) => (0..size).map(|_| Err(error.clone())).collect(),
            };
            self.ready = each.into_iter();
        }
        self.ready.next()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// What is behind these locks is whole at every step, also where a thread has panicked.
fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
