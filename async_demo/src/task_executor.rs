//! `TaskExecutor`: a runtime on a thread of its own, which takes work from outside until it is stopped.
//!
//! Python:  a thread that runs an event loop, and `asyncio.run_coroutine_threadsafe(coro, loop)`
//! Differs: who waits sleeps until the result is there, and is told when there will be none: because the task
//!          panicked, or the executor was stopped. With Python, stopping the loop leaves the waiter waiting for ever.
//!          Stopping says what becomes of work that is not done. Work that was cancelled is cleaned up by destructors,
//!          which cannot await.
//! Unix:    `stop_on_signals`; all else is the same elsewhere.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync"] }
//! ```

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use tokio::runtime::{Builder, Handle};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What becomes of work that is not done when the executor is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All that was submitted is finished. Tasks that a task has spawned by itself are not waited for.
    Drain,
    /// What is not done is dropped at the await it stands at, or before it has begun.
    Cancel,
}

/// Who has stopped the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    Caller,
    Signal(SignalKind),
}

/// Why the executor does not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorError {
    NotStarted,
    AlreadyStarted,
    /// It was stopped, and takes no more work; nor can it be started again: make another.
    Stopped,
    /// Its own thread cannot wait for its end.
    InOwnThread,
    /// The system refuses a thread, a descriptor or a signal handler.
    System(String),
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecutorError::NotStarted => f.write_str("the executor is not started"),
            ExecutorError::AlreadyStarted => f.write_str("the executor is started already"),
            ExecutorError::Stopped => f.write_str("the executor is stopped"),
            ExecutorError::InOwnThread => {
                f.write_str("the executor's thread cannot wait for itself")
            }
            ExecutorError::System(reason) => write!(f, "the executor: {reason}"),
        }
    }
}

impl error::Error for ExecutorError {}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// The task panicked; its message.
    Panicked(String),
    /// It was cancelled, or the executor was stopped before it was done.
    Cancelled,
    /// There was no result in time; the task runs on.
    TimedOut,
    /// The executor's own thread would wait for what only it can do.
    InOwnThread,
    /// The result was taken already.
    Taken,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(message) => write!(f, "the task panicked: {message}"),
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::TimedOut => f.write_str("the task was not done in time"),
            TaskError::InOwnThread => {
                f.write_str("the executor's thread cannot wait for its own task")
            }
            TaskError::Taken => f.write_str("the result was taken already"),
        }
    }
}

impl error::Error for TaskError {}

/// A thread that runs futures, all of them in turn, and so each of them only while no other computes or blocks.
///
/// Work may be submitted, and the executor stopped, from any thread, its own included. What one other thread submits
/// begins in its order; what the executor's own thread does comes before that. There is no limit to how much may wait.
///
/// Dropping the executor stops it ([`Stop::Cancel`]) and waits for its thread; in that thread it only stops. A future
/// that does not return from its poll, and a function in `spawn_blocking`, cannot be cancelled, and are waited for; so
/// that function must neither join the executor nor drop it. A `static` is never dropped: stop it at the end of `main`,
/// or what it runs ends anywhere.
///
/// Cost: one thread; for a task three allocations, and one wake-up of the thread if it sleeps.
#[derive(Debug)]
pub struct TaskExecutor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The thread looks at the state: it may be over.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The executor's own.
    thread: Option<ThreadId>,
    /// Tasks that are submitted and not finished, callback included.
    unfinished: usize,
    stopped_by: StoppedBy,
}

#[derive(Debug)]
enum Phase {
    New,
    Running(Handle),
    Stopped(Stop),
}

impl Default for TaskExecutor {
    fn default() -> TaskExecutor {
        TaskExecutor::new()
    }
}

impl TaskExecutor {
    /// An executor that is not started.
    pub fn new() -> TaskExecutor {
        TaskExecutor {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    phase: Phase::New,
                    thread: None,
                    unfinished: 0,
                    stopped_by: StoppedBy::Caller,
                }),
                changed: Notify::new(),
            }),
            thread: Mutex::new(None),
        }
    }

    /// An executor that is started.
    pub fn started() -> Result<TaskExecutor, ExecutorError> {
        let executor = TaskExecutor::new();
        executor.start().map(|()| executor)
    }

    /// Starts the thread; when this returns, the executor takes work.
    pub fn start(&self) -> Result<(), ExecutorError> {
        let mut state = self.shared.state();
        match state.phase {
            Phase::New => {}
            Phase::Running(_) => return Err(ExecutorError::AlreadyStarted),
            Phase::Stopped(_) => return Err(ExecutorError::Stopped),
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(system("make a runtime"))?;
        let handle = runtime.handle().clone();
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("task executor".to_owned())
            // The runtime is dropped in this thread, and with it what is left of the tasks.
            .spawn(move || runtime.block_on(shared.over()))
            .map_err(system("start a thread"))?;
        state.phase = Phase::Running(handle);
        state.thread = Some(thread.thread().id());
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// Hands in work and returns at once. Dropping the handle lets the task run on.
    pub fn submit<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<TaskHandle<T>, ExecutorError> {
        self.submit_with(future, |_| {})
    }

    /// As [`TaskExecutor::submit`]; in the executor's thread the callback is called with what has come of the task,
    /// whatever that is, before anybody who waits for it goes on.
    ///
    /// The executor does nothing else while the callback runs. If it panics, that is printed, and nothing else happens.
    pub fn submit_with<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        callback: impl FnOnce(&Result<T, TaskError>) + Send + 'static,
    ) -> Result<TaskHandle<T>, ExecutorError> {
        let mut state = self.shared.state();
        let handle = state.running()?;
        let slot = Arc::new(Slot {
            content: Mutex::new(Content::Waiting(None)),
            done: Condvar::new(),
        });
        let work = Work {
            future: Some(Box::pin(future)),
            end: End {
                callback: Some(callback),
                slot: Arc::clone(&slot),
                shared: Arc::clone(&self.shared),
            },
        };
        // Under the lock, so that the runtime is there: a runtime that has ended drops the work here, in this thread.
        let abort = handle.spawn(work).abort_handle();
        state.unfinished += 1;
        Ok(TaskHandle {
            slot,
            thread: state.thread,
            abort,
        })
    }

    /// Takes no more work, and returns at once; see [`Stop`] for what becomes of the rest.
    ///
    /// What is being drained can still be cancelled; all else that is stopped stays as it is.
    pub fn stop(&self, stop: Stop) {
        self.shared.stop(stop, StoppedBy::Caller);
    }

    /// From now on SIGINT and SIGTERM stop the executor, as [`TaskExecutor::stop`] does; another one then cancels.
    ///
    /// These signals do not end the process any more, not even when the executor has ended, because tokio leaves its
    /// handlers in place. So `main` waits in [`TaskExecutor::join`], and then ends.
    pub fn stop_on_signals(&self, stop: Stop) -> Result<(), ExecutorError> {
        let state = self.shared.state();
        let handle = state.running()?;
        let _context = handle.enter();
        let listen = |kind| signal(kind).map_err(system("listen for a signal"));
        let interrupt = listen(SignalKind::interrupt())?;
        let terminate = listen(SignalKind::terminate())?;
        handle.spawn(Arc::clone(&self.shared).stop_on(interrupt, terminate, stop));
        Ok(())
    }

    /// Blocks until the executor has been stopped and its thread has ended; says who has stopped it.
    ///
    /// In another runtime's thread this blocks that runtime.
    pub fn join(&self) -> Result<StoppedBy, ExecutorError> {
        let state = self.shared.state();
        if state.thread == Some(thread::current().id()) {
            return Err(ExecutorError::InOwnThread);
        }
        if let Phase::New = state.phase {
            return Err(ExecutorError::NotStarted);
        }
        drop(state);
        // Who comes second waits here for the first.
        let mut thread = lock(&self.thread);
        // It does not panic: what could is caught.
        thread.take().map(JoinHandle::join);
        Ok(self.shared.state().stopped_by)
    }
}

impl Drop for TaskExecutor {
    fn drop(&mut self) {
        self.stop(Stop::Cancel);
        // The error means that this is the executor's own thread, which ends by itself.
        self.join().ok();
    }
}

impl State {
    fn running(&self) -> Result<Handle, ExecutorError> {
        match &self.phase {
            Phase::New => Err(ExecutorError::NotStarted),
            Phase::Running(handle) => Ok(handle.clone()),
            Phase::Stopped(_) => Err(ExecutorError::Stopped),
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Running(_) => false,
            Phase::Stopped(Stop::Drain) => self.unfinished == 0,
            Phase::Stopped(Stop::Cancel) => true,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn stop(&self, stop: Stop, by: StoppedBy) {
        let mut state = self.state();
        match state.phase {
            Phase::New | Phase::Running(_) => state.stopped_by = by,
            Phase::Stopped(Stop::Drain) if stop == Stop::Cancel => {}
            Phase::Stopped(_) => return,
        }
        state.phase = Phase::Stopped(stop);
        self.changed.notify_one();
    }

    /// The thread's main future: returns when the runtime may be dropped.
    async fn over(self: Arc<Shared>) {
        while !self.state().is_over() {
            self.changed.notified().await;
        }
    }

    async fn stop_on(self: Arc<Shared>, mut interrupt: Signal, mut terminate: Signal, first: Stop) {
        let mut stop = first;
        loop {
            let kind = select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            };
            self.stop(stop, StoppedBy::Signal(kind));
            stop = Stop::Cancel;
        }
    }

    fn finished(&self) {
        let mut state = self.state();
        state.unfinished -= 1;
        if state.unfinished == 0 {
            self.changed.notify_one();
        }
    }
}

/// A submitted task. It can also be awaited, in any runtime; Python's `asyncio.wrap_future`.
///
/// Who awaits and drops this future at that await loses the result, not the task.
#[derive(Debug)]
pub struct TaskHandle<T> {
    slot: Arc<Slot<T>>,
    thread: Option<ThreadId>,
    abort: AbortHandle,
}

impl<T> TaskHandle<T> {
    /// Whether the task is finished, and its callback too.
    pub fn is_finished(&self) -> bool {
        !matches!(*lock(&self.slot.content), Content::Waiting(_))
    }

    /// Cancels the task at the await it stands at. Returns at once; a task that is done stays done.
    pub fn cancel(&self) {
        self.abort.abort();
    }

    /// Blocks until the task is done. The thread sleeps; nothing is asked again and again.
    ///
    /// In the executor's thread it is an error, unless the result is there. In another runtime's thread it blocks that
    /// runtime: await the handle instead.
    pub fn wait(mut self) -> Result<T, TaskError> {
        self.wait_until(None)
    }

    /// As [`TaskHandle::wait`], but no longer than this. In [`TaskError::TimedOut`] the task runs on, and can be waited
    /// for again.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<T, TaskError> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Result<T, TaskError> {
        let mut content = lock(&self.slot.content);
        loop {
            if let Some(result) = content.take() {
                return result;
            }
            if self.thread == Some(thread::current().id()) {
                return Err(TaskError::InOwnThread);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let done = &self.slot.done;
            content = match left {
                None => unpoisoned(done.wait(content)),
                Some(Duration::ZERO) => return Err(TaskError::TimedOut),
                Some(left) => unpoisoned(done.wait_timeout(content, left)).0,
            };
        }
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut content = lock(&self.slot.content);
        match content.take() {
            Some(result) => Poll::Ready(result),
            None => {
                *content = Content::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

/// Where a task puts its result, and its handle finds it.
#[derive(Debug)]
struct Slot<T> {
    content: Mutex<Content<T>>,
    done: Condvar,
}

#[derive(Debug)]
enum Content<T> {
    Waiting(Option<Waker>),
    Result(Result<T, TaskError>),
    Taken,
}

impl<T> Content<T> {
    fn take(&mut self) -> Option<Result<T, TaskError>> {
        if let Content::Waiting(_) = self {
            return None;
        }
        match std::mem::replace(self, Content::Taken) {
            Content::Result(result) => Some(result),
            _ => Some(Err(TaskError::Taken)),
        }
    }
}

/// What the runtime polls. The future is dropped before the end is announced, also where the runtime drops it all.
struct Work<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> {
    future: Option<Pin<Box<F>>>,
    end: End<F::Output, C>,
}

/// Dropped without a result, it announces a cancelled task.
struct End<T, C: FnOnce(&Result<T, TaskError>)> {
    callback: Option<C>,
    slot: Arc<Slot<T>>,
    shared: Arc<Shared>,
}

// The future stays in its box.
impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Unpin for Work<F, C> {}

impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Future for Work<F, C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let future = &mut self.future;
        // What a panic leaves half done is dropped, and seen by nobody.
        let polled = panic::catch_unwind(AssertUnwindSafe(|| match future {
            Some(running) => running.as_mut().poll(context).map(|value| {
                *future = None;
                Ok(value)
            }),
            None => Poll::Ready(Err(TaskError::Cancelled)),
        }));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(payload) => {
                // Its destructor may panic once more, about the same.
                panic::catch_unwind(AssertUnwindSafe(|| *future = None)).ok();
                Err(TaskError::Panicked(message(payload)))
            }
        };
        self.end.announce(result);
        Poll::Ready(())
    }
}

impl<T, C: FnOnce(&Result<T, TaskError>)> End<T, C> {
    fn announce(&mut self, result: Result<T, TaskError>) {
        let Some(callback) = self.callback.take() else {
            return;
        };
        // Its panic is printed by the hook; the waiter and the executor have nothing to do with it.
        panic::catch_unwind(AssertUnwindSafe(|| callback(&result))).ok();
        let before = std::mem::replace(&mut *lock(&self.slot.content), Content::Result(result));
        self.slot.done.notify_all();
        if let Content::Waiting(Some(waker)) = before {
            waker.wake();
        }
        self.shared.finished();
    }
}

impl<T, C: FnOnce(&Result<T, TaskError>)> Drop for End<T, C> {
    fn drop(&mut self) {
        self.announce(Err(TaskError::Cancelled));
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

fn system(what: &'static str) -> impl Fn(io::Error) -> ExecutorError {
    move |error| ExecutorError::System(format!("{what}: {error}"))
}

/// Nothing panics under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Says that it was dropped.
    struct Cleanup(mpsc::Sender<ThreadId>);

    impl Drop for Cleanup {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    fn executor() -> TaskExecutor {
        TaskExecutor::started().unwrap()
    }

    #[test]
    fn coroutine_and_callback_run_in_the_executors_thread_before_the_waiter_goes_on() {
        let executor = executor();
        let (sender, called) = mpsc::channel();
        let handle = executor.submit_with(async { thread::current().id() }, move |result| {
            sender
                .send((thread::current().id(), result.clone()))
                .unwrap()
        });
        let ran = handle.unwrap().wait().unwrap();
        assert_ne!(ran, thread::current().id());
        assert_eq!(called.try_recv().unwrap(), (ran, Ok(ran)));
    }

    #[test]
    fn a_wait_has_a_limit_and_can_be_repeated() {
        let executor = executor();
        let (go_on, wait) = oneshot::channel();
        let mut handle = executor.submit(async { wait.await.unwrap() }).unwrap();
        let begun = Instant::now();
        let short = Duration::from_millis(20);
        assert_eq!(handle.wait_timeout(short), Err(TaskError::TimedOut));
        assert!(begun.elapsed() >= short);
        assert!(!handle.is_finished());
        go_on.send(7).unwrap();
        assert_eq!(handle.wait_timeout(Duration::MAX), Ok(7));
        assert!(handle.is_finished());
        assert_eq!(handle.wait(), Err(TaskError::Taken));
    }

    #[test]
    fn a_result_wakes_the_waiter_at_once() {
        let executor = executor();
        let delay = || {
            let (go_on, wait) = oneshot::channel::<Instant>();
            let handle = executor.submit(async { wait.await.unwrap() }).unwrap();
            let waiter = thread::spawn(move || handle.wait().unwrap().elapsed());
            thread::sleep(Duration::from_millis(20));
            go_on.send(Instant::now()).unwrap();
            waiter.join().unwrap()
        };
        // Asking each half second would take nearly that, each time.
        let fastest = [(); 5].map(|()| delay()).into_iter().min();
        assert!(fastest.unwrap() < Duration::from_millis(400));
    }

    #[test]
    fn a_handle_can_be_awaited_in_another_runtime() {
        let (executor, other) = (executor(), executor());
        let (go_on, wait) = oneshot::channel();
        let first = executor.submit(async { wait.await.unwrap() }).unwrap();
        let second = other.submit(async { first.await.unwrap() + 1 }).unwrap();
        go_on.send(1).unwrap();
        assert_eq!(second.wait(), Ok(2));
    }

    #[test]
    fn draining_finishes_what_was_submitted_and_refuses_the_rest() {
        let executor = executor();
        let (go_on, wait) = oneshot::channel();
        let first = executor.submit(async { wait.await.unwrap() }).unwrap();
        let (sender, called) = mpsc::channel();
        let second = executor.submit_with(first, move |_| sender.send(()).unwrap());
        executor.stop(Stop::Drain);
        let refused = executor.submit(async {}).err();
        assert_eq!(refused, Some(ExecutorError::Stopped));
        assert_eq!(refused.unwrap().to_string(), "the executor is stopped");
        go_on.send(3).unwrap();
        assert_eq!(executor.join(), Ok(StoppedBy::Caller));
        called.try_recv().unwrap();
        let second = second.unwrap();
        assert!(second.is_finished());
        assert_eq!(second.wait(), Ok(Ok(3)));
    }

    /// Whatever `submit` has accepted is done, from however many threads it comes while the executor is stopped.
    #[test]
    fn what_was_accepted_is_drained() {
        for _ in 0..50 {
            let executor = executor();
            thread::scope(|scope| {
                let submitters: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let submit = || executor.submit(tokio::task::yield_now());
                            std::iter::from_fn(|| submit().ok()).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                thread::sleep(Duration::from_micros(200));
                executor.stop(Stop::Drain);
                executor.join().unwrap();
                for submitter in submitters {
                    for handle in submitter.join().unwrap() {
                        assert!(handle.is_finished());
                        assert_eq!(handle.wait(), Ok(()));
                    }
                }
            });
        }
    }

    #[test]
    fn cancelling_cleans_up_in_the_executors_thread_and_tells_the_waiters() {
        let executor = executor();
        let thread = executor.submit(async { thread::current().id() });
        let thread = thread.unwrap().wait().unwrap();
        let (sender, cleaned) = mpsc::channel();
        let (callbacks, called) = mpsc::channel();
        let endless = |cleanup: Cleanup| {
            let callbacks = callbacks.clone();
            let future = async move {
                let _cleanup = cleanup;
                std::future::pending::<()>().await;
            };
            let callback = move |result: &Result<(), TaskError>| {
                callbacks
                    .send((thread::current().id(), result.clone()))
                    .unwrap();
            };
            executor.submit_with(future, callback).unwrap()
        };
        let handles = [(); 2].map(|()| endless(Cleanup(sender.clone())));
        executor.stop(Stop::Cancel);
        for handle in handles {
            assert_eq!(handle.wait(), Err(TaskError::Cancelled));
            assert_eq!(
                cleaned.try_recv(),
                Ok(thread),
                "cleaned up too late, or elsewhere"
            );
            assert_eq!(called.try_recv(), Ok((thread, Err(TaskError::Cancelled))));
        }
        assert_eq!(executor.join(), Ok(StoppedBy::Caller));
    }

    #[test]
    fn a_drain_can_be_cancelled_and_a_cancel_not_drained() {
        let executor = executor();
        let handle = executor.submit(std::future::pending::<()>()).unwrap();
        executor.stop(Stop::Drain);
        executor.stop(Stop::Cancel);
        executor.stop(Stop::Drain);
        executor.join().unwrap();
        assert_eq!(handle.wait(), Err(TaskError::Cancelled));
    }

    #[test]
    fn one_task_is_cancelled_and_the_others_go_on() {
        let executor = executor();
        let (sender, cleaned) = mpsc::channel();
        let cleanup = Cleanup(sender);
        let handle = executor.submit(async move {
            let _cleanup = cleanup;
            std::future::pending::<()>().await;
        });
        let handle = handle.unwrap();
        handle.cancel();
        assert_eq!(handle.wait(), Err(TaskError::Cancelled));
        cleaned.try_recv().unwrap();
        assert_eq!(executor.submit(async { 1 }).unwrap().wait(), Ok(1));
    }

    #[test]
    fn it_starts_once() {
        let executor = TaskExecutor::new();
        assert_eq!(
            executor.submit(async {}).err(),
            Some(ExecutorError::NotStarted)
        );
        assert_eq!(executor.join(), Err(ExecutorError::NotStarted));
        assert_eq!(
            executor.stop_on_signals(Stop::Cancel),
            Err(ExecutorError::NotStarted)
        );
        executor.start().unwrap();
        assert_eq!(executor.start(), Err(ExecutorError::AlreadyStarted));
        executor.stop(Stop::Drain);
        assert_eq!(executor.start(), Err(ExecutorError::Stopped));
        executor.join().unwrap();
        assert_eq!(executor.start(), Err(ExecutorError::Stopped));
        assert_eq!(
            executor.stop_on_signals(Stop::Cancel),
            Err(ExecutorError::Stopped)
        );

        let never = TaskExecutor::new();
        never.stop(Stop::Cancel);
        assert_eq!(never.start(), Err(ExecutorError::Stopped));
        assert_eq!(never.join(), Ok(StoppedBy::Caller));
    }

    #[test]
    fn dropping_cancels_and_leaves_no_thread() {
        thread_local! {
            static ENDS: std::cell::RefCell<Option<Cleanup>> = const { std::cell::RefCell::new(None) };
        }
        let executor = executor();
        let (sender, ended) = mpsc::channel();
        let cleanup = Cleanup(sender);
        let handle = executor.submit(async move {
            ENDS.set(Some(cleanup)); // Its destructor runs when the thread ends.
            std::future::pending::<()>().await;
        });
        let handle = handle.unwrap();
        executor.submit(async {}).unwrap().wait().unwrap();
        drop(executor);
        ended.try_recv().unwrap();
        assert_eq!(handle.wait(), Err(TaskError::Cancelled));
    }

    #[test]
    fn several_may_wait_for_the_end() {
        let executor = executor();
        thread::scope(|scope| {
            let joiners = [(); 3].map(|()| scope.spawn(|| executor.join()));
            thread::sleep(Duration::from_millis(10));
            executor.stop(Stop::Cancel);
            for joiner in joiners {
                assert_eq!(joiner.join().unwrap(), Ok(StoppedBy::Caller));
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_waiter_and_the_executor_goes_on() {
        let executor = executor();
        let panics = |resume: Box<dyn Any + Send>| async { panic::resume_unwind(resume) };
        let wait = |resume| executor.submit::<()>(panics(resume)).unwrap().wait();
        let message = |text: &str| Err(TaskError::Panicked(text.to_owned()));
        assert_eq!(wait(Box::new("failed")), message("failed"));
        assert_eq!(wait(Box::new("failed".to_owned())), message("failed"));
        assert_eq!(wait(Box::new(1)), message("no message"));
        assert_eq!(executor.submit(async { 1 }).unwrap().wait(), Ok(1));
    }

    #[test]
    fn a_callback_that_panics_harms_nobody() {
        let executor = executor();
        let callback = |_: &Result<i32, TaskError>| panic::resume_unwind(Box::new("failed"));
        let handle = executor.submit_with(async { 1 }, callback).unwrap();
        assert_eq!(handle.wait(), Ok(1));
        executor.stop(Stop::Drain);
        executor.join().unwrap();
    }

    #[test]
    fn a_future_that_panics_when_dropped_harms_nobody() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic::resume_unwind(Box::new("failed"));
            }
        }
        let endless = || async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        };
        let executor = executor();
        let cancelled = executor.submit(endless()).unwrap();
        let left = executor.submit(endless()).unwrap();
        executor.submit(async {}).unwrap().wait().unwrap();
        cancelled.cancel();
        assert_eq!(cancelled.wait(), Err(TaskError::Cancelled));
        drop(executor);
        assert_eq!(left.wait(), Err(TaskError::Cancelled));
    }

    #[test]
    fn the_executors_thread_does_not_wait_for_itself() {
        let executor = Arc::new(executor());
        let own = Arc::clone(&executor);
        let handle = executor.submit(async move {
            let mut handle = own.submit(async { 1 }).unwrap();
            let refused = (handle.wait_timeout(LONG), own.join());
            tokio::task::yield_now().await;
            // Now it is done, and there is nothing to wait for.
            (refused, handle.wait())
        });
        let expected = (Err(TaskError::InOwnThread), Err(ExecutorError::InOwnThread));
        assert_eq!(handle.unwrap().wait(), Ok((expected, Ok(1))));
    }

    #[test]
    fn a_task_may_stop_the_executor_and_drop_it() {
        let executor = Arc::new(executor());
        let own = Arc::clone(&executor);
        let (go_on, wait) = oneshot::channel::<()>();
        let handle = executor.submit(async move {
            wait.await.unwrap();
            own.stop(Stop::Drain);
            assert_eq!(own.join(), Err(ExecutorError::InOwnThread));
            drop(own); // The last.
            1
        });
        drop(executor);
        go_on.send(()).unwrap();
        assert_eq!(handle.unwrap().wait(), Ok(1));
    }

    /// In one test, because a signal reaches all executors of the process that listen.
    #[test]
    fn signals_stop_it() {
        use rustix::process::{Signal, getpid, kill_process};
        let signals = [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
        ];
        for (signal, kind) in signals {
            let executor = executor();
            let handle = executor.submit(std::future::pending::<()>()).unwrap();
            executor.stop_on_signals(Stop::Cancel).unwrap();
            kill_process(getpid(), signal).unwrap();
            assert_eq!(executor.join(), Ok(StoppedBy::Signal(kind)));
            assert_eq!(handle.wait(), Err(TaskError::Cancelled));

            let executor = TaskExecutor::started().unwrap();
            let (go_on, wait) = oneshot::channel();
            let handle = executor.submit(async { wait.await.unwrap() }).unwrap();
            executor.stop_on_signals(Stop::Drain).unwrap();
            kill_process(getpid(), signal).unwrap();
            while executor.submit(async {}).is_ok() {
                thread::yield_now();
            }
            go_on.send(1).unwrap();
            assert_eq!(executor.join(), Ok(StoppedBy::Signal(kind)));
            assert_eq!(handle.wait(), Ok(1));

            let executor = TaskExecutor::started().unwrap();
            executor.submit(std::future::pending::<()>()).unwrap();
            executor.stop_on_signals(Stop::Drain).unwrap();
            kill_process(getpid(), signal).unwrap();
            while executor.submit(async {}).is_ok() {
                thread::yield_now();
            }
            kill_process(getpid(), signal).unwrap(); // The second cancels.
            assert_eq!(executor.join(), Ok(StoppedBy::Signal(kind)));
        }
    }
}
