//! Run callbacks, timers and tasks on one thread with an event loop like asyncio's.
//!
//! Python:  `asyncio.new_event_loop()`, `Handle`, `Task`, `call_soon_threadsafe`, under their Python names
//! Differs: a callback gets the loop as its argument. Other threads use a `Remote`. It has no files or sockets: asyncio's and
//!          tokio's loops sleep in epoll; this loop sleeps until a message arrives or a timer is due. `cancel` drops the
//!          future at its await; it cannot refuse, and its destructors run. The loop keeps a task without a handle alive.
//! Order:   callbacks run in the order in which they became ready, timers by time and then in the order of their creation.
//!          Messages of one thread arrive in order.
//!
//! Only `run_forever` and `run_until_complete` block. No lock is held while user code runs. A callback that does not return
//! soon delays all others. A panic in a callback, task, message or destructor goes to the exception handler, and the loop
//! goes on; a panic of the handler propagates out of `run_forever` or `close`. Callbacks that hold the loop keep it alive: `close` it.
//!
//! A callback costs one allocation, a timer O(log n) more, and a task one allocation with its future and result. A round
//! without messages from other threads costs one atomic load. A message costs two allocations, and a wake-up if the loop
//! sleeps.
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::{Any, type_name};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{error, fmt, result};

/// An event loop. It stays on the thread that created it; a clone is the same loop.
#[derive(Clone)]
pub struct EventLoop(Rc<Inner>);

struct Inner {
    /// The callbacks of the next round.
    ready: RefCell<VecDeque<Rc<dyn Callback>>>,
    timers: RefCell<BTreeMap<TimerKey, Rc<dyn Callback>>>,
    timers_made: Cell<u64>,
    tasks: RefCell<Tasks>,
    remote: Remote,
    /// Receives what `remote` sends; `None` once the loop is closed.
    mail: RefCell<Option<Receiver<Message>>>,
    stopping: Cell<bool>,
    slow: Cell<Duration>,
    handler: RefCell<Rc<Handler>>,
}

type Handler = dyn Fn(&EventLoop, &'static str, Problem);
pub type Result<T> = result::Result<T, LoopError>;

impl Default for EventLoop {
    fn default() -> EventLoop {
        EventLoop::new()
    }
}

impl EventLoop {
    /// Creates a loop that reports panics to standard error.
    pub fn new() -> EventLoop {
        let (remote, mail) = Remote::new();
        EventLoop(Rc::new(Inner {
            ready: RefCell::default(),
            timers: RefCell::default(),
            timers_made: Cell::default(),
            tasks: RefCell::default(),
            remote,
            mail: RefCell::new(Some(mail)),
            stopping: Cell::default(),
            slow: Cell::new(Duration::MAX),
            handler: RefCell::new(Rc::new(|_, name, problem| eprintln!("{name}: {problem:?}"))),
        }))
    }

    /// Calls the function in the next round, after all callbacks that are ready now.
    pub fn call_soon<F: FnOnce(&EventLoop) + 'static>(&self, f: F) -> Result<Handle> {
        self.check_open()?;
        let handle = Handle::new(self, f, None);
        self.queue(Rc::clone(&handle.callback));
        Ok(handle)
    }

    /// Calls the function when the delay is over.
    pub fn call_later<F: FnOnce(&EventLoop) + 'static>(&self, d: Duration, f: F) -> Result<Handle> {
        self.call_at(self.after(d), f)
    }

    /// Calls the function when the loop's clock has reached `when`.
    pub fn call_at<F: FnOnce(&EventLoop) + 'static>(&self, when: Instant, f: F) -> Result<Handle> {
        self.check_open()?;
        let number = self.0.timers_made.get();
        self.0.timers_made.set(number + 1);
        let handle = Handle::new(self, f, Some((when, number)));
        let callback = Rc::clone(&handle.callback);
        self.timers().insert((when, number), callback);
        Ok(handle)
    }

    /// Returns the time of the loop's clock.
    pub fn time(&self) -> Instant {
        Instant::now()
    }

    /// A delay that the clock cannot represent becomes thirty years.
    fn after(&self, delay: Duration) -> Instant {
        let now = self.time();
        now.checked_add(delay)
            .unwrap_or(now + Duration::from_secs(1 << 30))
    }

    /// Runs until [`stop`](EventLoop::stop) is called; the loop can run again after that.
    pub fn run_forever(&self) -> Result<()> {
        let _running = Running::begin(self)?;
        let _unset = Unset(&self.0.stopping);
        loop {
            self.run_once();
            if self.0.stopping.get() {
                return Ok(());
            }
        }
    }

    /// Ends the run after this round: callbacks that are ready are still called.
    pub fn stop(&self) {
        self.0.stopping.set(true);
    }

    /// Runs one round: sleeps if no callback is ready, then calls those that are. Callbacks that become ready meanwhile wait for
    /// the next round, so that timers and other threads get their turn.
    fn run_once(&self) {
        let next_timer = self.timers().first_key_value().map(|t| t.0.0);
        if self.0.ready.borrow().is_empty() && !self.0.stopping.get() {
            let left = |until: Instant| until.saturating_duration_since(self.time());
            let timeout = next_timer.map_or(Duration::MAX, left);
            self.read_mail(|mail| mail.recv_timeout(timeout).into_iter().collect());
        }
        if self.0.remote.has_mail() {
            self.read_mail(|mail| self.0.remote.receive(mail));
        }
        if next_timer.is_some() {
            let (now, mut timers) = (self.time(), self.timers());
            while let Some(timer) = timers.first_entry().filter(|timer| timer.key().0 <= now) {
                self.queue(timer.remove());
            }
        }
        let ready = self.0.ready.borrow().len();
        for _ in 0..ready {
            let callback = self.0.ready.borrow_mut().pop_front();
            callback.inspect(|callback| self.run(&**callback));
        }
    }

    fn read_mail(&self, read: impl FnOnce(&Receiver<Message>) -> Vec<Message>) {
        let mail = self.0.mail.borrow().as_ref().map(read);
        for message in mail.into_iter().flatten() {
            self.caught("a message", || message(self));
        }
    }

    fn run(&self, callback: &dyn Callback) {
        let slow = self.0.slow.get();
        let begun = (slow < Duration::MAX).then(Instant::now);
        let called = catch_unwind(AssertUnwindSafe(|| callback.call(self)));
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let problem = match called {
            Ok(()) if took < slow => return,
            Ok(()) => Problem::Slow(took),
            Err(panic) => {
                self.caught(callback.name(), || callback.cancel(self));
                Problem::Panic(panic)
            }
        };
        self.report(callback.name(), problem);
    }

    /// Reports a panic of `f` to the exception handler.
    fn caught<R>(&self, name: &'static str, f: impl FnOnce() -> R) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
            self.report(name, Problem::Panic(panic));
        }
    }

    fn report(&self, name: &'static str, problem: Problem) {
        let handler = Rc::clone(&self.0.handler.borrow());
        handler(self, name, problem);
    }

    /// Drops all callbacks and tasks that wait; none of them runs again. Closing a closed loop does nothing.
    pub fn close(&self) -> Result<()> {
        if self.is_running() {
            return Err(LoopError::CannotCloseRunning);
        }
        drop(self.0.mail.take());
        let waiting = self.0.ready.take().into_iter();
        let waiting = waiting.chain(self.0.timers.take().into_values());
        for callback in waiting.chain(self.0.tasks.take().all()) {
            self.caught(callback.name(), || callback.cancel(self));
        }
        Ok(())
    }

    /// Returns `true` once the loop is closed.
    pub fn is_closed(&self) -> bool {
        self.0.mail.borrow().is_none()
    }

    /// Returns `true` while this thread runs the loop.
    pub fn is_running(&self) -> bool {
        self.0.remote.here(|_| ()).is_some()
    }

    /// Sets the function that gets panics and slow callbacks, with the name of the function or future.
    pub fn set_exception_handler(&self, f: impl Fn(&EventLoop, &'static str, Problem) + 'static) {
        self.0.handler.replace(Rc::new(f));
    }

    /// Reports callbacks that take this long, or longer: debug mode. It reads the clock twice for each callback.
    /// `Duration::MAX` switches it off.
    pub fn set_slow_callback_duration(&self, duration: Duration) {
        self.0.slow.set(duration);
    }

    /// Returns the part of the loop that other threads may use; clone it for each.
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    fn queue(&self, callback: Rc<dyn Callback>) {
        self.0.ready.borrow_mut().push_back(callback);
    }

    fn timers(&self) -> RefMut<'_, BTreeMap<TimerKey, Rc<dyn Callback>>> {
        self.0.timers.borrow_mut()
    }

    fn tasks(&self) -> RefMut<'_, Tasks> {
        self.0.tasks.borrow_mut()
    }

    fn check_open(&self) -> Result<()> {
        (!self.is_closed()).then_some(()).ok_or(LoopError::Closed)
    }
}

/// An entry of the queue: a function or a task.
trait Callback {
    fn call(&self, event_loop: &EventLoop);
    /// Drops the function or future; `false` if it is gone already.
    fn cancel(&self, event_loop: &EventLoop) -> bool;
    fn name(&self) -> &'static str;
    /// Returns `true` if the entry is not queued yet.
    fn enqueue(&self) -> bool {
        true
    }
}

impl<F: FnOnce(&EventLoop)> Callback for Cell<Option<F>> {
    fn call(&self, event_loop: &EventLoop) {
        if let Some(function) = self.take() {
            function(event_loop);
        }
    }

    fn cancel(&self, _: &EventLoop) -> bool {
        self.take().is_some()
    }

    fn name(&self) -> &'static str {
        type_name::<F>()
    }
}

/// The time of a timer, and a number that keeps timers of the same time in order.
type TimerKey = (Instant, u64);

/// Cancels a callback that waits. Dropping the handle changes nothing.
pub struct Handle {
    event_loop: EventLoop,
    callback: Rc<dyn Callback>,
    timer: Option<TimerKey>,
    cancelled: Cell<bool>,
}

impl Handle {
    fn new<F>(event_loop: &EventLoop, f: F, timer: Option<TimerKey>) -> Handle
    where
        F: FnOnce(&EventLoop) + 'static,
    {
        Handle {
            event_loop: event_loop.clone(),
            callback: Rc::new(Cell::new(Some(f))),
            timer,
            cancelled: Cell::new(false),
        }
    }

    /// Drops the function, which is never called then. Returns `false` if it was called or cancelled before.
    pub fn cancel(&self) -> bool {
        if let Some(key) = &self.timer {
            self.event_loop.timers().remove(key);
        }
        let in_time = self.callback.cancel(&self.event_loop);
        self.cancelled.set(self.cancelled.get() || in_time);
        in_time
    }

    /// Returns `true` if a `cancel` came in time.
    pub fn cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

/// The tasks of a loop, each at the index that its waker knows.
#[derive(Default)]
struct Tasks {
    slots: Vec<Option<Rc<dyn Callback>>>,
    free: Vec<(usize, Waker)>,
}

impl Tasks {
    fn all(self) -> impl Iterator<Item = Rc<dyn Callback>> {
        self.slots.into_iter().flatten()
    }
}

/// A task that the loop runs. Await it for its result, which is `None` if it was cancelled or panicked.
///
/// Dropping the handle lets the task run on.
pub struct Task<T> {
    event_loop: EventLoop,
    run: Rc<dyn Join<T>>,
}

/// A task's state, shared by the loop and the handle.
struct Run<F: Future> {
    key: usize,
    /// Returned to `Tasks` when the task is over.
    waker: RefCell<Waker>,
    queued: Cell<bool>,
    /// `None` when the task is over.
    future: RefCell<Option<F>>,
    result: Cell<Option<F::Output>>,
    waiter: Cell<Option<Waker>>,
}

impl<F: Future> Callback for Run<F> {
    fn call(&self, event_loop: &EventLoop) {
        self.queued.set(false);
        let mut slot = self.future.borrow_mut();
        let Some(future) = &mut *slot else {
            return; // The task was cancelled after it had been woken.
        };
        // SAFETY: the future is never moved: it lives in a shared allocation, no code takes it out, and it is dropped in
        // place.
        let future = unsafe { Pin::new_unchecked(future) };
        let waker = self.waker.borrow();
        if let Poll::Ready(result) = future.poll(&mut Context::from_waker(&waker)) {
            drop((slot, waker));
            self.result.set(Some(result));
            self.cancel(event_loop);
        }
    }

    fn cancel(&self, event_loop: &EventLoop) -> bool {
        let slot = self.future.try_borrow_mut();
        let Some(mut slot) = slot.ok().filter(|slot| slot.is_some()) else {
            return false; // The task is over, or is being polled.
        };
        let over = Over(self, event_loop); // Runs also if a destructor in the future panics.
        *slot = None;
        drop((slot, over));
        true
    }

    fn name(&self) -> &'static str {
        type_name::<F>()
    }

    fn enqueue(&self) -> bool {
        !self.queued.replace(true)
    }
}

/// Frees a task's key at its end and wakes its waiter.
struct Over<'a, F: Future>(&'a Run<F>, &'a EventLoop);

impl<F: Future> Drop for Over<'_, F> {
    fn drop(&mut self) {
        let Over(run, event_loop) = self;
        let waker = run.waker.replace(Waker::noop().clone());
        event_loop.forget(run.key, waker);
        if let Some(waiter) = run.waiter.take() {
            waiter.wake();
        }
    }
}

trait Join<T>: Callback {
    fn poll_result(&self, context: &mut Context) -> Poll<Option<T>>;
    fn done(&self) -> bool;
}

impl<F: Future> Join<F::Output> for Run<F> {
    fn poll_result(&self, context: &mut Context) -> Poll<Option<F::Output>> {
        if self.done() {
            return Poll::Ready(self.result.take());
        }
        self.waiter.set(Some(context.waker().clone()));
        Poll::Pending
    }

    fn done(&self) -> bool {
        let slot = self.future.try_borrow();
        slot.is_ok_and(|slot| slot.is_none())
    }
}

impl<T> Task<T> {
    /// Drops the future at the await where it stands. Returns `false` if the task is over, or would cancel itself.
    pub fn cancel(&self) -> bool {
        self.run.cancel(&self.event_loop)
    }

    /// Returns `true` once the task has returned, panicked or been cancelled.
    pub fn done(&self) -> bool {
        self.run.done()
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    /// Cancelling this wait loses nothing, because the handle stays.
    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<T>> {
        self.run.poll_result(context)
    }
}

impl EventLoop {
    /// Starts the future as a task, in the next round.
    pub fn create_task<F: Future + 'static>(&self, future: F) -> Result<Task<F::Output>> {
        self.check_open()?;
        let (key, waker) = self.waker();
        let run = Rc::new(Run {
            key,
            waker: RefCell::new(waker),
            queued: Cell::new(true),
            future: RefCell::new(Some(future)),
            result: Cell::new(None),
            waiter: Cell::new(None),
        });
        self.tasks().slots[key] = Some(Rc::clone(&run) as Rc<dyn Callback>);
        self.queue(Rc::clone(&run) as Rc<dyn Callback>);
        let event_loop = self.clone();
        Ok(Task { event_loop, run })
    }

    /// Returns a free key and its waker. A waker that outlives its task may wake the next task of that key: a spurious wake,
    /// which every future must accept.
    fn waker(&self) -> (usize, Waker) {
        let mut tasks = self.tasks();
        tasks.free.pop().unwrap_or_else(|| {
            let (key, remote) = (tasks.slots.len(), self.remote().clone());
            tasks.slots.push(None);
            (key, Waker::from(Arc::new(TaskWaker { key, remote })))
        })
    }

    fn wake(&self, key: usize) {
        if let Some(Some(task)) = self.tasks().slots.get(key)
            && task.enqueue()
        {
            self.queue(Rc::clone(task));
        }
    }

    fn forget(&self, key: usize, waker: Waker) {
        let mut tasks = self.tasks();
        if let Some(slot) = tasks.slots.get_mut(key) {
            slot.take(); // The caller holds another reference, so no destructor runs under the borrow.
            tasks.free.push((key, waker));
        }
    }

    /// Waits in a task. With a delay of zero, the other ready tasks run first. Dropping the future removes its timer.
    pub async fn sleep(&self, delay: Duration) {
        if delay.is_zero() {
            return Yield(false).await;
        }
        let (until, mut alarm) = (self.after(delay), Alarm(None));
        let wait = poll_fn(|context| {
            if self.time() >= until {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            alarm = Alarm(self.call_at(until, |_| waker.wake()).ok());
            Poll::Pending
        });
        wait.await;
    }

    /// Runs the loop until the future has returned. If the loop is stopped earlier, the task goes on in the next run.
    pub fn run_until_complete<F: Future + 'static>(&self, future: F) -> Result<F::Output> {
        drop(Running::begin(self)?); // Fails before it creates a task that could not run.
        let (task, event_loop) = (self.create_task(future)?, self.clone());
        let waiter = self.create_task(async move {
            Yield(false).await; // So a task that ends at once is seen one round later, as every other is.
            let result = task.await;
            event_loop.stop();
            result
        })?;
        let waiter = CancelOnDrop(waiter);
        self.run_forever()?;
        let run = &waiter.0.run;
        match run.poll_result(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Some(result))) => Ok(result),
            _ => Err(LoopError::Incomplete),
        }
    }
}

/// Cancels the waiter, which would otherwise stop a later run.
struct CancelOnDrop<T>(Task<T>);

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Wakes a task from any thread: on the loop's thread through the queue, from others by a message.
struct TaskWaker {
    key: usize,
    remote: Remote,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let key = self.key;
        if self
            .remote
            .here(|event_loop| event_loop.wake(key))
            .is_none()
        {
            // A closed loop refuses the message, and has no tasks.
            self.remote
                .send(move |event_loop| event_loop.wake(key))
                .ok();
        }
    }
}

/// Is ready at the second poll, behind everything that is ready now.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        if replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The timer of a `sleep`, which is cancelled with it.
struct Alarm(Option<Handle>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(timer) = &self.0 {
            timer.cancel();
        }
    }
}

type Message = Box<dyn FnOnce(&EventLoop) + Send>;

/// The part of a loop that other threads may use: it sends functions to the loop.
#[derive(Clone)]
pub struct Remote {
    sender: Sender<Message>,
    has_mail: Arc<AtomicBool>,
}

impl Remote {
    fn new() -> (Remote, Receiver<Message>) {
        let (sender, mail) = channel();
        let has_mail = Arc::default();
        (Remote { sender, has_mail }, mail)
    }

    /// Returns `true` if a message may have arrived. This load is the only cost of a round without messages.
    fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Relaxed)
    }

    /// Takes the messages that have arrived, at most `MOST`, so that a flood does not delay timers.
    fn receive(&self, mail: &Receiver<Message>) -> Vec<Message> {
        const MOST: usize = 1024;
        // A swap, so that no message is missed: either it reads the sender's flag, and then `try_iter` finds the message,
        // or the sender sets the flag after the swap, and it stays set.
        self.has_mail.swap(false, Ordering::Acquire);
        let messages: Vec<_> = mail.try_iter().take(MOST).collect();
        if messages.len() == MOST {
            self.has_mail.store(true, Ordering::Relaxed);
        }
        messages
    }

    /// Calls the function in the loop's next round; wakes the loop if it sleeps.
    pub fn call_soon_threadsafe<F: FnOnce(&EventLoop) + Send + 'static>(&self, f: F) -> Result<()> {
        // `call_soon` cannot fail: a loop that reads messages is open.
        self.send(|event_loop| drop(event_loop.call_soon(f)))
    }

    /// Runs `message` at the start of the loop's next round.
    fn send(&self, message: impl FnOnce(&EventLoop) + Send + 'static) -> Result<()> {
        let sent = self.sender.send(Box::new(message));
        self.has_mail.store(true, Ordering::Release);
        sent.map_err(|_| LoopError::Closed)
    }

    /// Calls `f` at once, if this thread runs the loop.
    fn here<R>(&self, f: impl FnOnce(&EventLoop) -> R) -> Option<R> {
        let of_loop =
            |current: &&EventLoop| Arc::ptr_eq(&current.remote().has_mail, &self.has_mail);
        let call = |current: &RefCell<Option<EventLoop>>| {
            let current = current.borrow();
            current.as_ref().filter(of_loop).map(f)
        };
        CURRENT.try_with(call).ok().flatten()
    }
}

thread_local! {
    /// The loop that this thread is running.
    static CURRENT: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

/// While it exists, the thread runs this loop and no other.
struct Running;

impl Running {
    fn begin(event_loop: &EventLoop) -> Result<Running> {
        event_loop.check_open()?;
        if CURRENT.with_borrow(Option::is_some) {
            return Err(LoopError::AlreadyRunning);
        }
        CURRENT.set(Some(event_loop.clone()));
        Ok(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

/// Resets `stopping` at the end of a run, also by a panic of the handler.
struct Unset<'a>(&'a Cell<bool>);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A report to the exception handler.
#[derive(Debug)]
pub enum Problem {
    /// A callback, task, message or destructor panicked.
    Panic(Box<dyn Any + Send>),
    /// In debug mode: the callback took this long until it returned or awaited something.
    Slow(Duration),
}

/// The reason why a loop refuses a call, in asyncio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopError {
    Closed,
    AlreadyRunning,
    CannotCloseRunning,
    /// The loop was stopped before the future returned, or the future panicked.
    Incomplete,
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            LoopError::Closed => "Event loop is closed",
            LoopError::AlreadyRunning => "This event loop is already running",
            LoopError::CannotCloseRunning => "Cannot close a running event loop",
            LoopError::Incomplete => "Event loop stopped before Future completed.",
        })
    }
}

impl error::Error for LoopError {}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    type Log = Rc<RefCell<Vec<&'static str>>>;

    /// Returns a callback that logs a word.
    fn say(log: &Log, word: &'static str) -> impl FnOnce(&EventLoop) + use<> {
        let log = Rc::clone(log);
        move |_| log.borrow_mut().push(word)
    }

    /// Runs one round.
    fn run_ready(event_loop: &EventLoop) {
        event_loop.stop();
        event_loop.run_forever().unwrap();
    }

    #[test]
    fn callbacks_run_in_order_and_new_ones_in_the_next_round() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let again = say(&log, "again");
        event_loop.call_soon(say(&log, "a")).unwrap();
        let nested = move |event_loop: &EventLoop| drop(event_loop.call_soon(again).unwrap());
        event_loop.call_soon(nested).unwrap();
        event_loop.call_soon(say(&log, "b")).unwrap();
        run_ready(&event_loop);
        assert_eq!(*log.borrow(), ["a", "b"]);
        run_ready(&event_loop);
        assert_eq!(*log.borrow(), ["a", "b", "again"]);
    }

    #[test]
    fn stop_lets_what_is_ready_run_and_the_loop_runs_again() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        event_loop.call_soon(EventLoop::stop).unwrap();
        event_loop.call_soon(say(&log, "ready")).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(*log.borrow(), ["ready"]);
        event_loop.call_soon(say(&log, "again")).unwrap();
        event_loop.call_soon(EventLoop::stop).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(*log.borrow(), ["ready", "again"]);
    }

    #[test]
    fn timers_come_in_the_order_of_their_times_and_equal_ones_as_they_were_set() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let begun = event_loop.time();
        event_loop.call_later(4 * SHORT, EventLoop::stop).unwrap();
        event_loop
            .call_later(Duration::MAX, say(&log, "never"))
            .unwrap();
        event_loop
            .call_at(begun + 2 * SHORT, say(&log, "c"))
            .unwrap();
        for word in ["a", "b"] {
            event_loop.call_at(begun + SHORT, say(&log, word)).unwrap();
        }
        event_loop.run_forever().unwrap();
        assert!(begun.elapsed() >= 4 * SHORT);
        assert_eq!(*log.borrow(), ["a", "b", "c"]);
        event_loop.close().unwrap();
    }

    #[test]
    fn a_cancelled_callback_is_dropped_at_once_and_never_called() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let soon = event_loop.call_soon(say(&log, "soon")).unwrap();
        let later = event_loop.call_later(SHORT, say(&log, "later")).unwrap();
        let called = event_loop.call_soon(say(&log, "called")).unwrap();
        for handle in [&soon, &later] {
            assert!(!handle.cancelled());
            assert!(handle.cancel());
            assert!(!handle.cancel(), "cancelled twice");
            assert!(handle.cancelled());
        }
        assert_eq!(Rc::strong_count(&log), 2, "a cancelled callback was kept");
        assert!(event_loop.0.timers.borrow().is_empty());
        event_loop.call_later(2 * SHORT, EventLoop::stop).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(*log.borrow(), ["called"]);
        assert!(!called.cancel());
        assert!(!called.cancelled(), "it was called");
    }

    #[test]
    fn other_threads_wake_the_loop_and_keep_their_order() {
        let event_loop = EventLoop::new();
        let (sender, got) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..4 {
                let (remote, sender) = (event_loop.remote().clone(), sender.clone());
                scope.spawn(move || {
                    for item in 0..1000 {
                        let sender = sender.clone();
                        let send = move |_: &EventLoop| sender.send((number, item)).unwrap();
                        remote.call_soon_threadsafe(send).unwrap();
                    }
                    thread::sleep(SHORT); // The loop sleeps meanwhile.
                    remote.call_soon_threadsafe(EventLoop::stop).unwrap();
                });
            }
            event_loop.run_forever().unwrap();
        });
        run_ready(&event_loop);
        let got: Vec<_> = got.try_iter().collect();
        for number in 0..4 {
            let items = got.iter().filter(|got| got.0 == number).map(|got| got.1);
            assert!(items.eq(0..1000), "lost, or out of order");
        }
    }

    #[test]
    fn a_flood_from_another_thread_does_not_hold_up_timers() {
        let event_loop = EventLoop::new();
        event_loop.call_later(2 * SHORT, EventLoop::stop).unwrap();
        let remote = event_loop.remote().clone();
        let flood = thread::spawn(move || while remote.call_soon_threadsafe(|_| ()).is_ok() {});
        event_loop.run_forever().unwrap();
        event_loop.close().unwrap();
        flood.join().unwrap();
    }

    #[test]
    fn mail_is_seen_by_a_loop_that_never_sleeps() {
        let event_loop = EventLoop::new();
        fn again(event_loop: &EventLoop) {
            event_loop.call_soon(again).unwrap();
        }
        event_loop.call_soon(again).unwrap();
        for _ in 0..200 {
            let remote = event_loop.remote().clone();
            let other = thread::spawn(move || remote.call_soon_threadsafe(EventLoop::stop));
            event_loop.run_forever().unwrap();
            other.join().unwrap().unwrap();
        }
        event_loop.close().unwrap();
    }

    #[test]
    fn a_panic_goes_to_the_handler_and_the_loop_goes_on() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell = Rc::clone(&told);
        event_loop.set_exception_handler(move |event_loop, name, problem| {
            assert!(event_loop.is_running());
            tell.borrow_mut().push((name, problem));
        });
        event_loop.call_soon(fails).unwrap();
        event_loop.call_soon(say(&log, "after")).unwrap();
        run_ready(&event_loop);
        let told = told.take();
        let [(name, Problem::Panic(panic))] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(name.ends_with("::fails"), "{name}");
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert_eq!(*log.borrow(), ["after"]);
    }

    fn fails(_: &EventLoop) {
        resume_unwind(Box::new("on purpose"));
    }

    #[test]
    fn a_handler_that_panics_ends_the_run_and_the_rest_is_kept() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        event_loop.set_exception_handler(|event_loop, _, _| fails(event_loop));
        event_loop.call_soon(fails).unwrap();
        event_loop.call_soon(say(&log, "kept")).unwrap();
        event_loop.stop(); // It does not reach the run after the panic.
        catch_unwind(AssertUnwindSafe(|| event_loop.run_forever())).unwrap_err();
        assert!(!event_loop.is_running());
        assert!(!event_loop.0.stopping.get());
        run_ready(&event_loop);
        assert_eq!(*log.borrow(), ["kept"]);
    }

    #[test]
    fn a_message_that_panics_is_reported_and_the_others_come() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let tell = say(&log, "told");
        let tell = Cell::new(Some(tell));
        event_loop.set_exception_handler(move |event_loop, name, _| {
            assert_eq!(name, "a message");
            tell.take().unwrap()(event_loop);
        });
        let (sender, got) = mpsc::channel();
        event_loop.remote().send(fails).unwrap();
        event_loop
            .remote()
            .send(move |_| sender.send(()).unwrap())
            .unwrap();
        run_ready(&event_loop);
        got.try_recv().unwrap();
        assert_eq!(*log.borrow(), ["told"]);
    }

    #[test]
    fn debug_mode_reports_what_is_slow_and_nothing_else() {
        let event_loop = EventLoop::new();
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell = Rc::clone(&told);
        event_loop
            .set_exception_handler(move |_, name, problem| tell.borrow_mut().push((name, problem)));
        for debug in [false, true] {
            let duration = if debug { SHORT } else { Duration::MAX };
            event_loop.set_slow_callback_duration(duration);
            event_loop.call_soon(slow).unwrap();
            event_loop.call_soon(|_| ()).unwrap();
            run_ready(&event_loop);
            assert_eq!(told.borrow().len(), usize::from(debug));
        }
        let (name, Problem::Slow(took)) = told.borrow_mut().remove(0) else {
            panic!("no slow callback was reported");
        };
        assert!(name.ends_with("::slow") && took >= SHORT);
    }

    fn slow(_: &EventLoop) {
        thread::sleep(SHORT);
    }

    #[test]
    fn close() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        let (sender, refused) = mpsc::channel();
        event_loop
            .call_soon(move |event_loop| sender.send(event_loop.close()).unwrap())
            .unwrap();
        run_ready(&event_loop);
        assert_eq!(refused.recv().unwrap(), Err(LoopError::CannotCloseRunning));
        let soon = event_loop.call_soon(say(&log, "soon")).unwrap();
        event_loop.call_later(SHORT, say(&log, "later")).unwrap();
        assert!(!event_loop.is_closed());
        event_loop.close().unwrap();
        event_loop.close().unwrap();
        assert!(event_loop.is_closed());
        assert_eq!(Rc::strong_count(&log), 1, "what waited was kept");
        assert!(!soon.cancel());
        let closed = Some(LoopError::Closed);
        assert_eq!(event_loop.call_soon(EventLoop::stop).err(), closed);
        assert_eq!(event_loop.call_later(SHORT, EventLoop::stop).err(), closed);
        assert_eq!(event_loop.run_forever().err(), closed);
        assert_eq!(
            event_loop
                .remote()
                .call_soon_threadsafe(EventLoop::stop)
                .err(),
            closed
        );
        assert!(log.borrow().is_empty());
    }

    #[test]
    fn one_loop_runs_in_a_thread() {
        let (event_loop, other) = (EventLoop::new(), EventLoop::new());
        assert!(!event_loop.is_running());
        let (sender, got) = mpsc::channel();
        let nested = move |event_loop: &EventLoop| {
            let refused = [event_loop.run_forever(), other.run_forever()];
            sender
                .send((event_loop.is_running(), other.is_running(), refused))
                .unwrap();
        };
        event_loop.call_soon(nested).unwrap();
        run_ready(&event_loop);
        let refused = [Err(LoopError::AlreadyRunning); 2];
        assert_eq!(got.recv().unwrap(), (true, false, refused));
        assert!(!event_loop.is_running());
    }

    /// Counts its drops.
    struct Drops(Rc<Cell<u32>>);

    impl Drop for Drops {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn tasks_take_turns_and_return_values() {
        let (event_loop, log) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
        let e = event_loop.clone();
        let write = Rc::clone(&log);
        let sum = event_loop.run_until_complete(async move {
            let mut tasks = Vec::new();
            for number in 0..3 {
                let (e, log) = (e.clone(), Rc::clone(&write));
                tasks.push(e.clone().create_task(async move {
                    for round in 0..2 {
                        log.borrow_mut().push((round, number));
                        e.sleep(Duration::ZERO).await;
                    }
                    number
                }));
            }
            let mut sum = 0;
            for task in tasks {
                sum += task.unwrap().await.unwrap();
            }
            sum
        });
        assert_eq!(sum, Ok(3));
        let turns = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];
        assert_eq!(*log.borrow(), turns);
    }

    #[test]
    fn sleep_sleeps_and_a_dropped_one_takes_its_timer_back() {
        let event_loop = EventLoop::new();
        let e = event_loop.clone();
        let begun = event_loop.time();
        let long = event_loop.create_task({
            let e = e.clone();
            async move { e.sleep(Duration::MAX).await }
        });
        let cancelled = event_loop.run_until_complete(async move {
            e.sleep(SHORT).await;
            let task = long.unwrap();
            let cancelled = task.cancel() && !task.cancel();
            (cancelled, task.await)
        });
        assert_eq!(cancelled, Ok((true, None)));
        assert!(begun.elapsed() >= SHORT);
    }

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("on purpose"));
        }
    }

    #[test]
    fn a_destructor_that_panics_leaves_nobody_waiting_and_nothing_behind() {
        let event_loop = EventLoop::new();
        event_loop.set_exception_handler(|_, _, _| ());
        let endless = async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        };
        let task = event_loop.create_task(endless).unwrap();
        let e = event_loop.clone();
        let waited = event_loop.run_until_complete(async move {
            e.sleep(Duration::ZERO).await;
            let cancelled = AssertUnwindSafe(|| task.cancel());
            assert!(catch_unwind(cancelled).is_err());
            task.await
        });
        assert_eq!(waited, Ok(None));

        let drops = Rc::new(Cell::new(0));
        for bomb in [true, false, true] {
            let held = Drops(Rc::clone(&drops));
            let endless = async move {
                let _held = held;
                let _bomb = bomb.then_some(Bomb);
                std::future::pending::<()>().await;
            };
            event_loop.create_task(endless).unwrap();
        }
        event_loop.run_until_complete(async {}).unwrap();
        event_loop.close().unwrap();
        assert_eq!(drops.get(), 3);
    }

    #[test]
    fn a_waker_works_from_another_thread() {
        let event_loop = EventLoop::new();
        let (sender, wakers) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            for waker in wakers {
                thread::sleep(SHORT / 5); // The loop sleeps meanwhile.
                waker.wake();
            }
        });
        let woken = event_loop.run_until_complete(async move {
            for _ in 0..20 {
                let mut sent = false;
                poll_fn(|context| {
                    if replace(&mut sent, true) {
                        return Poll::Ready(());
                    }
                    sender.send(context.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
            }
        });
        assert_eq!(woken, Ok(()));
        thread.join().unwrap();
    }

    #[test]
    fn a_task_that_panics_gives_none_and_its_slot_is_used_again() {
        let event_loop = EventLoop::new();
        let drops = Rc::new(Cell::new(0));
        event_loop
            .set_exception_handler(|_, name, _| assert!(name.contains("task_fails"), "{name}"));
        for round in 1..=3 {
            let task = event_loop
                .create_task(task_fails(Drops(Rc::clone(&drops))))
                .unwrap();
            assert_eq!(event_loop.run_until_complete(task), Ok(None));
            assert_eq!(drops.get(), round);
        }
        let panics = event_loop.run_until_complete(task_fails(Drops(Rc::clone(&drops))));
        assert_eq!(panics, Err(LoopError::Incomplete));
        assert!(event_loop.tasks().slots.len() <= 3);
        assert!(event_loop.tasks().slots.iter().all(Option::is_none));
    }

    async fn task_fails(_drops: Drops) -> u32 {
        resume_unwind(Box::new("on purpose"))
    }

    #[test]
    fn a_late_waker_does_no_harm_to_the_next_task() {
        let event_loop = EventLoop::new();
        let mut late =
            event_loop.run_until_complete(poll_fn(|context| Poll::Ready(context.waker().clone())));
        let e = event_loop.clone();
        let answer = event_loop.run_until_complete(async move {
            late.as_mut().unwrap().wake_by_ref();
            e.sleep(SHORT).await;
            late.unwrap().wake();
            7
        });
        assert_eq!(answer, Ok(7));
    }

    #[test]
    fn a_task_cannot_cancel_itself_while_it_runs() {
        let event_loop = EventLoop::new();
        let own = Rc::new(Cell::new(None::<Task<bool>>));
        let slot = Rc::clone(&own);
        let task =
            event_loop.create_task(async move { slot.take().is_some_and(|own| own.cancel()) });
        own.set(task.ok());
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert!(event_loop.tasks().slots.iter().all(Option::is_none));
    }

    #[test]
    fn stopped_before_it_is_complete_and_then_run_on() {
        let event_loop = EventLoop::new();
        let (e, drops) = (event_loop.clone(), Rc::new(Cell::new(0)));
        let drop = Drops(Rc::clone(&drops));
        event_loop.call_soon(EventLoop::stop).unwrap();
        let stopped = event_loop.run_until_complete(async move {
            e.sleep(SHORT).await;
            std::mem::drop(drop);
        });
        assert_eq!(stopped, Err(LoopError::Incomplete));
        assert_eq!(drops.get(), 0);
        event_loop.call_later(3 * SHORT, EventLoop::stop).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn close_drops_the_futures_of_all_tasks_also_of_those_that_have_a_handle() {
        let event_loop = EventLoop::new();
        let (e, drops) = (event_loop.clone(), Rc::new(Cell::new(0)));
        let start = |event_loop: &EventLoop| {
            let (e, drop) = (e.clone(), Drops(Rc::clone(&drops)));
            let sleep = async move {
                e.sleep(Duration::MAX).await;
                std::mem::drop(drop);
            };
            event_loop.create_task(sleep).unwrap()
        };
        let held = start(&event_loop);
        start(&event_loop);
        event_loop.run_until_complete(async {}).unwrap();
        assert!(!held.done());
        event_loop.close().unwrap();
        assert_eq!(drops.get(), 2);
        assert!(held.done() && !held.cancel());
        assert_eq!(
            event_loop.create_task(async {}).err(),
            Some(LoopError::Closed)
        );
        assert_eq!(
            event_loop.run_until_complete(async {}),
            Err(LoopError::Closed)
        );
        drop(e);
        assert_eq!(Rc::strong_count(&drops), 1);
    }
}
