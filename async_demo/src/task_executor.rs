//! Run an event loop on a thread that takes work from outside until stopped.
//!
//! Python:  a thread that runs an event loop, and `asyncio.run_coroutine_threadsafe(coro, loop)`
//! Differs: a waiter sleeps until the result is ready, and gets an error if the task panicked or the executor was
//!          stopped. With Python, stopping the loop leaves the waiter blocked. Stopping either finishes or
//!          cancels the work. Destructors clean up cancelled work, and cannot await.
//! Platform: Unix (`stop_on_signals`)
//!
//! ```cargo
//! [dependencies]
//! parking_lot = "0.13"
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync"] }
//! tokio-util = { version = "0.7", features = ["rt"] }
//! ```

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What happens to unfinished work when the executor is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All submitted work is finished. Tasks that a task spawned itself are not waited for.
    Drain,
    /// Unfinished work is dropped at the await where it stands, or before it has begun.
    Cancel,
}

/// What stopped the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// A call of [`TaskExecutor::stop`].
    Caller,
    /// A signal, after [`TaskExecutor::stop_on_signals`].
    Signal(SignalKind),
}

/// The reason why the executor refuses a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorError {
    /// It is not started.
    NotStarted,
    /// It is started already.
    AlreadyStarted,
    /// It was stopped and takes no more work. It cannot be started again: create another one.
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

/// The reason why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// The task panicked with this message.
    Panicked(String),
    /// It was cancelled, or the executor was stopped before it was finished.
    Cancelled,
    /// It was not finished in time; it goes on.
    TimedOut,
    /// The executor's own thread would wait for work that only it can do.
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

/// A thread that runs futures in turn: a future that computes or blocks delays all others.
///
/// Any thread may submit work and stop the executor, also its own. Work from one other thread begins in the order in which
/// it was submitted; work from the executor's own thread comes first. The queue has no limit.
///
/// Dropping the executor stops it ([`Stop::Cancel`]) and waits for its thread; on that thread it only stops. A future
/// that does not return from its poll, and a function in `spawn_blocking`, cannot be cancelled, so dropping waits for
/// them: neither may join or drop the executor. A `static` is never dropped: stop it at the end of `main`.
#[derive(Debug)]
pub struct TaskExecutor {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The submitted tasks, closed when the executor is stopped.
    tasks: TaskTracker,
    cancel: CancellationToken,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The executor's own thread.
    thread: Option<ThreadId>,
    stopped_by: StoppedBy,
}

#[derive(Debug)]
enum Phase {
    New,
    Running(Handle),
    Stopped,
}

impl Default for TaskExecutor {
    fn default() -> TaskExecutor {
        TaskExecutor::new()
    }
}

impl TaskExecutor {
    /// Creates an executor that is not started.
    pub fn new() -> TaskExecutor {
        TaskExecutor {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    phase: Phase::New,
                    thread: None,
                    stopped_by: StoppedBy::Caller,
                }),
                tasks: TaskTracker::new(),
                cancel: CancellationToken::new(),
            }),
            thread: Mutex::new(None),
        }
    }

    /// Creates an executor and starts it.
    ///
    /// # Errors
    ///
    /// [`ExecutorError::System`] if the system refuses the thread or its descriptors.
    pub fn started() -> Result<TaskExecutor, ExecutorError> {
        let executor = TaskExecutor::new();
        executor.start().map(|()| executor)
    }

    /// Starts the thread. The executor takes work when this returns.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if it was started or stopped before, or the system refuses the thread or its descriptors.
    pub fn start(&self) -> Result<(), ExecutorError> {
        let mut state = self.shared.state.lock();
        match state.phase {
            Phase::New => {}
            Phase::Running(_) => return Err(ExecutorError::AlreadyStarted),
            Phase::Stopped => return Err(ExecutorError::Stopped),
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(system("create a runtime"))?;
        let handle = runtime.handle().clone();
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("task executor".to_owned())
            // The thread drops the runtime at its end, and with it the unfinished tasks.
            .spawn(move || runtime.block_on(shared.over()))
            .map_err(system("start a thread"))?;
        state.phase = Phase::Running(handle);
        state.thread = Some(thread.thread().id());
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Submits a future and returns immediately. Dropping the handle lets the task run on.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if the executor is not started, or is stopped.
    pub fn submit<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<TaskHandle<T>, ExecutorError> {
        self.submit_with(future, |_| {})
    }

    /// Submits a future, and a callback that gets its result or error on the executor's thread.
    ///
    /// The callback returns before a waiter goes on. Meanwhile the executor does nothing else. A panic of the callback is
    /// only printed.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if the executor is not started, or is stopped.
    pub fn submit_with<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        callback: impl FnOnce(&Result<T, TaskError>) + Send + 'static,
    ) -> Result<TaskHandle<T>, ExecutorError> {
        let state = self.shared.state.lock();
        let handle = state.running()?;
        let work = Work {
            future: Some(Box::pin(future)),
            callback: Some(callback),
        };
        // Under the lock, so that a drain waits for all work that was accepted.
        let task = handle.spawn(self.shared.tasks.track_future(work));
        Ok(TaskHandle {
            task: Some(task),
            thread: state.thread,
        })
    }

    /// Refuses new work from now on, and returns immediately; see [`Stop`] for the rest.
    ///
    /// A second call can cancel a drain; otherwise it changes nothing.
    pub fn stop(&self, stop: Stop) {
        self.shared.stop(stop, StoppedBy::Caller);
    }

    /// Makes SIGINT and SIGTERM stop the executor, as [`TaskExecutor::stop`] does; the second signal cancels.
    ///
    /// From now on these signals no longer end the process, even after the executor has ended, because tokio keeps its
    /// handlers. So wait in [`TaskExecutor::join`], and then return from `main`.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if the executor is not started, or is stopped, or the system refuses the handlers.
    pub fn stop_on_signals(&self, stop: Stop) -> Result<(), ExecutorError> {
        let state = self.shared.state.lock();
        let handle = state.running()?;
        let _context = handle.enter();
        let listen = |kind| signal(kind).map_err(system("listen for a signal"));
        let interrupt = listen(SignalKind::interrupt())?;
        let terminate = listen(SignalKind::terminate())?;
        handle.spawn(Arc::clone(&self.shared).stop_on(interrupt, terminate, stop));
        Ok(())
    }

    /// Blocks until the executor was stopped and its thread has ended, and returns what stopped it.
    ///
    /// On another runtime's thread this blocks that runtime.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if it was not started, or if the executor's own thread calls this.
    pub fn join(&self) -> Result<StoppedBy, ExecutorError> {
        let state = self.shared.state.lock();
        if state.thread == Some(thread::current().id()) {
            return Err(ExecutorError::InOwnThread);
        }
        if let Phase::New = state.phase {
            return Err(ExecutorError::NotStarted);
        }
        drop(state);
        // A second caller waits here for the first one.
        let mut thread = self.thread.lock();
        // The thread does not panic: tasks and callbacks catch panics.
        thread.take().map(thread::JoinHandle::join);
        Ok(self.shared.state.lock().stopped_by)
    }
}

impl Drop for TaskExecutor {
    fn drop(&mut self) {
        self.stop(Stop::Cancel);
        // It fails on the executor's own thread, which ends by itself.
        self.join().ok();
    }
}

impl State {
    fn running(&self) -> Result<Handle, ExecutorError> {
        match &self.phase {
            Phase::New => Err(ExecutorError::NotStarted),
            Phase::Running(handle) => Ok(handle.clone()),
            Phase::Stopped => Err(ExecutorError::Stopped),
        }
    }
}

impl Shared {
    fn stop(&self, stop: Stop, by: StoppedBy) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Stopped) {
            state.phase = Phase::Stopped;
            state.stopped_by = by;
        }
        match stop {
            Stop::Drain => drop(self.tasks.close()),
            Stop::Cancel => self.cancel.cancel(),
        }
    }

    /// The thread's main future: returns when the runtime may be dropped.
    async fn over(self: Arc<Shared>) {
        select! {
            () = self.tasks.wait() => {} // The tracker is closed and no task is left.
            () = self.cancel.cancelled() => {}
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
}

/// A submitted task. Wait for it on any thread, or await it in any runtime; Python's `asyncio.wrap_future`.
///
/// Dropping it, or cancelling its await, lets the task run on.
#[derive(Debug)]
pub struct TaskHandle<T> {
    /// `None` once the result was taken.
    task: Option<JoinHandle<Result<T, TaskError>>>,
    /// The executor's thread.
    thread: Option<ThreadId>,
}

impl<T> TaskHandle<T> {
    /// Returns `true` once the task and its callback have finished.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Cancels the task at the await where it stands, and returns immediately. A finished task keeps its result.
    pub fn cancel(&self) {
        self.task.as_ref().inspect(|task| task.abort());
    }

    /// Blocks until the task is finished, and returns its result.
    ///
    /// On another runtime's thread this blocks that runtime: await the handle instead.
    ///
    /// # Errors
    ///
    /// [`TaskError`], which is `InOwnThread` on the executor's own thread unless the task is finished.
    pub fn wait(mut self) -> Result<T, TaskError> {
        self.wait_until(None)
    }

    /// Blocks as [`TaskHandle::wait`] does, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TaskError`]; after `TimedOut` the task runs on, and the call can be repeated.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<T, TaskError> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Result<T, TaskError> {
        if self.thread == Some(thread::current().id()) && !self.is_finished() {
            return Err(TaskError::InOwnThread);
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        // Unconstrained, because tokio's budget of a task would make a finished one look pending.
        let mut this = unconstrained(self);
        loop {
            match Pin::new(&mut this).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => {}
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match left {
                None => thread::park(),
                Some(Duration::ZERO) => return Err(TaskError::TimedOut),
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else {
            return Poll::Ready(Err(TaskError::Taken));
        };
        let joined = ready!(Pin::new(task).poll(context));
        self.task = None;
        // Panics are caught in `Work`, so an error means that the task was cancelled.
        Poll::Ready(joined.unwrap_or(Err(TaskError::Cancelled)))
    }
}

/// A submitted future and its callback, which is called also where the runtime drops the task.
struct Work<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> {
    /// `None` at the end.
    future: Option<Pin<Box<F>>>,
    callback: Option<C>,
}

// The future stays in its box.
impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Unpin for Work<F, C> {}

impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Future for Work<F, C> {
    type Output = Result<F::Output, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(TaskError::Cancelled));
        };
        // After a panic the future is dropped, so no code sees its state.
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(TaskError::Panicked(message(payload))),
        };
        self.end(&result);
        Poll::Ready(result)
    }
}

impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Work<F, C> {
    /// Drops the future, then calls the callback. The panic hook prints a panic of either, which changes nothing else.
    fn end(&mut self, result: &Result<F::Output, TaskError>) {
        let future = self.future.take();
        panic::catch_unwind(AssertUnwindSafe(|| drop(future))).ok();
        if let Some(callback) = self.callback.take() {
            panic::catch_unwind(AssertUnwindSafe(|| callback(result))).ok();
        }
    }
}

impl<F: Future, C: FnOnce(&Result<F::Output, TaskError>)> Drop for Work<F, C> {
    fn drop(&mut self) {
        self.end(&Err(TaskError::Cancelled));
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

fn system(what: &'static str) -> impl Fn(io::Error) -> ExecutorError {
    move |error| ExecutorError::System(format!("{what}: {error}"))
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
