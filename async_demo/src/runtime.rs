//! `EventLoop`: what a runtime is: a queue of what is ready, timers in order, and a place to sleep where others can wake it.
//!
//! Python:  `asyncio.new_event_loop()` and the methods of the loop, under their Python names
//! Differs: a callback is handed the loop. What other threads may do is a type of its own, `Remote`. This loop knows no
//!          files or sockets: asyncio's and tokio's sleep in epoll, this one until a message comes or a timer is due.
//! Blocks:  only `run_forever` and `run_until_complete`; no lock is held while code of yours runs. A callback that does not
//!          return soon holds up all others.
//! Panics:  one in a callback or task is reported to the exception handler, and the loop goes on. A panic of the handler
//!          comes out of `run_forever`.
//! Order:   callbacks run in the order in which they became ready, timers in the order of their times; those of one time
//!          in the order in which they were set.
//! Drop:    what waits in the loop and holds the loop keeps it alive, so `close` it.
//! Cost:    a callback is one allocation, a timer O(log n) besides. No lock, and no atomic operation but a load in each
//!          round, unless something came from another thread.
//! Needs:   task.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::{Any, type_name};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{error, fmt, result};

use crate::task::Tasks;

/// The loop, which stays in the thread where it was made. A clone is the same loop.
#[derive(Clone)]
pub struct EventLoop(Rc<Inner>);

struct Inner {
    /// What runs in the next round.
    ready: RefCell<VecDeque<Rc<dyn Callback>>>,
    timers: RefCell<BTreeMap<TimerKey, Rc<dyn Callback>>>,
    timers_made: Cell<u64>,
    tasks: RefCell<Tasks>,
    remote: Remote,
    /// What `remote` sends; a closed loop has none.
    mail: RefCell<Option<Receiver<Message>>>,
    stopping: Cell<bool>,
    slow: Cell<Duration>,
    handler: RefCell<Rc<Handler>>,
}

/// The number keeps timers of the same time apart, and in order.
type TimerKey = (Instant, u64);
type Message = Box<dyn FnOnce(&EventLoop) + Send>;
type Handler = dyn Fn(&EventLoop, &'static str, Problem);
pub type Result<T> = result::Result<T, LoopError>;

/// What the queue holds: a function, or a task.
pub trait Callback {
    fn call(&self, event_loop: &EventLoop);
    /// Drops the function or future; `false` if there is none left.
    fn cancel(&self, event_loop: &EventLoop) -> bool;
    fn name(&self) -> &'static str;
    /// Whether it is to be queued, as it is not there already.
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

/// A callback that waits. Dropping the handle changes nothing.
pub struct Handle {
    event_loop: EventLoop,
    callback: Rc<dyn Callback>,
    timer: Option<TimerKey>,
    cancelled: Cell<bool>,
}

impl Handle {
    /// Drops the function, which will never be called. `false` if it was called, or cancelled, before.
    pub fn cancel(&self) -> bool {
        if let Some(key) = &self.timer {
            self.event_loop.0.timers.borrow_mut().remove(key);
        }
        let in_time = self.callback.cancel(&self.event_loop);
        self.cancelled.set(self.cancelled.get() || in_time);
        in_time
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

impl EventLoop {
    pub fn new() -> EventLoop {
        let (sender, mail) = channel();
        let has_mail = Arc::default();
        EventLoop(Rc::new(Inner {
            ready: RefCell::default(),
            timers: RefCell::default(),
            timers_made: Cell::default(),
            tasks: RefCell::default(),
            remote: Remote { sender, has_mail },
            mail: RefCell::new(Some(mail)),
            stopping: Cell::default(),
            slow: Cell::new(Duration::MAX),
            handler: RefCell::new(Rc::new(|_, name, problem| eprintln!("{name}: {problem:?}"))),
        }))
    }

    /// Has the function called in the next round, after all that are ready now.
    pub fn call_soon<F: FnOnce(&EventLoop) + 'static>(&self, f: F) -> Result<Handle> {
        let handle = self.handle(f, None)?;
        self.queue(Rc::clone(&handle.callback));
        Ok(handle)
    }

    /// Has the function called when the delay is over.
    pub fn call_later<F: FnOnce(&EventLoop) + 'static>(&self, d: Duration, f: F) -> Result<Handle> {
        self.call_at(self.after(d), f)
    }

    /// Has the function called when the loop's clock shows this time, or a later one.
    pub fn call_at<F: FnOnce(&EventLoop) + 'static>(&self, when: Instant, f: F) -> Result<Handle> {
        let number = self.0.timers_made.get();
        self.0.timers_made.set(number + 1);
        let key = (when, number);
        let handle = self.handle(f, Some(key))?;
        let callback = Rc::clone(&handle.callback);
        self.0.timers.borrow_mut().insert(key, callback);
        Ok(handle)
    }

    fn handle<F>(&self, f: F, timer: Option<TimerKey>) -> Result<Handle>
    where
        F: FnOnce(&EventLoop) + 'static,
    {
        self.check_open()?;
        Ok(Handle {
            event_loop: self.clone(),
            callback: Rc::new(Cell::new(Some(f))),
            timer,
            cancelled: Cell::new(false),
        })
    }

    /// The loop's clock.
    pub fn time(&self) -> Instant {
        Instant::now()
    }

    /// A delay that is too long for the clock becomes one of thirty years.
    pub fn after(&self, delay: Duration) -> Instant {
        let now = self.time();
        now.checked_add(delay)
            .unwrap_or(now + Duration::from_secs(1 << 30))
    }

    /// Runs until `stop`; after that it may run again.
    pub fn run_forever(&self) -> Result<()> {
        let _running = Running::begin(self)?;
        loop {
            self.run_once();
            if self.0.stopping.take() {
                return Ok(());
            }
        }
    }

    /// Ends the run after this round: what is ready is still called.
    pub fn stop(&self) {
        self.0.stopping.set(true);
    }

    /// A round: sleeps if nothing is ready, then calls what is ready. What that makes ready waits for the next round, so
    /// that timers and other threads have their turn.
    fn run_once(&self) {
        let next_timer = self.0.timers.borrow().first_key_value().map(|t| t.0.0);
        if self.0.ready.borrow().is_empty() && !self.0.stopping.get() {
            let left = |until: Instant| until.saturating_duration_since(self.time());
            let timeout = next_timer.map_or(Duration::MAX, left);
            self.read_mail(|mail| mail.recv_timeout(timeout).into_iter().collect());
        }
        if self.0.remote.has_mail.load(Ordering::Acquire) {
            self.0.remote.has_mail.store(false, Ordering::Relaxed);
            self.read_mail(|mail| mail.try_iter().collect());
        }
        if next_timer.is_some() {
            let (now, mut timers) = (self.time(), self.0.timers.borrow_mut());
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
            message(self);
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
                callback.cancel(self);
                Problem::Panic(panic)
            }
        };
        let handler = Rc::clone(&self.0.handler.borrow());
        handler(self, callback.name(), problem);
    }

    /// Drops all that waits: no callback is called any more, tasks end where they are. A second time it does nothing.
    pub fn close(&self) -> Result<()> {
        if self.is_running() {
            return Err(LoopError::CannotCloseRunning);
        }
        drop(self.0.mail.take());
        let waiting = self.0.ready.take().into_iter();
        let waiting = waiting.chain(self.0.timers.take().into_values());
        for callback in waiting.chain(self.0.tasks.take().all()) {
            callback.cancel(self);
        }
        Ok(())
    }

    pub fn is_closed(&self) -> bool {
        self.0.mail.borrow().is_none()
    }

    pub fn is_running(&self) -> bool {
        self.0.remote.here(|_| ()).is_some()
    }

    /// Who is told of panics and slow callbacks; by default, standard error.
    pub fn set_exception_handler(&self, f: impl Fn(&EventLoop, &'static str, Problem) + 'static) {
        self.0.handler.replace(Rc::new(f));
    }

    /// Debug mode: what takes so long, or longer, is reported, for two looks at the clock a callback. `Duration::MAX` ends it.
    pub fn set_slow_callback_duration(&self, duration: Duration) {
        self.0.slow.set(duration);
    }

    pub fn remote(&self) -> Remote {
        self.0.remote.clone()
    }

    pub fn queue(&self, callback: Rc<dyn Callback>) {
        self.0.ready.borrow_mut().push_back(callback);
    }

    pub fn tasks(&self) -> RefMut<'_, Tasks> {
        self.0.tasks.borrow_mut()
    }

    pub fn check_open(&self) -> Result<()> {
        (!self.is_closed()).then_some(()).ok_or(LoopError::Closed)
    }
}

/// The part of a loop that other threads may use.
#[derive(Clone)]
pub struct Remote {
    sender: Sender<Message>,
    /// All that the loop looks at while nothing comes.
    has_mail: Arc<AtomicBool>,
}

impl Remote {
    /// `call_soon` for any thread; wakes the loop if it sleeps.
    pub fn call_soon_threadsafe<F: FnOnce(&EventLoop) + Send + 'static>(&self, f: F) -> Result<()> {
        self.send(|event_loop| drop(event_loop.call_soon(f)))
    }

    /// Has the loop do this at the beginning of its next round.
    pub fn send(&self, message: impl FnOnce(&EventLoop) + Send + 'static) -> Result<()> {
        let sent = self.sender.send(Box::new(message));
        self.has_mail.store(true, Ordering::Release);
        sent.map_err(|_| LoopError::Closed)
    }

    /// Does this at once, if the loop runs and this is its thread.
    pub fn here<R>(&self, f: impl FnOnce(&EventLoop) -> R) -> Option<R> {
        let of_loop =
            |current: &&EventLoop| Arc::ptr_eq(&current.0.remote.has_mail, &self.has_mail);
        let call = |current: &RefCell<Option<EventLoop>>| {
            let current = current.borrow();
            current.as_ref().filter(of_loop).map(f)
        };
        CURRENT.try_with(call).ok().flatten()
    }
}

thread_local! {
    /// The loop that this thread runs.
    static CURRENT: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

/// As long as it exists, the thread runs this loop and no other.
pub struct Running;

impl Running {
    pub fn begin(event_loop: &EventLoop) -> Result<Running> {
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

/// What the exception handler is told, beside the name of the function or future.
#[derive(Debug)]
pub enum Problem {
    Panic(Box<dyn Any + Send>),
    /// In debug mode: it took so long until it returned, or awaited something.
    Slow(Duration),
}

/// What a loop refuses, in asyncio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopError {
    Closed,
    AlreadyRunning,
    CannotCloseRunning,
    /// The loop was stopped first, or the future panicked.
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
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    type Log = Rc<RefCell<Vec<&'static str>>>;

    /// A callback that writes a word down.
    fn say(log: &Log, word: &'static str) -> impl FnOnce(&EventLoop) + use<> {
        let log = Rc::clone(log);
        move |_| log.borrow_mut().push(word)
    }

    /// Runs all that is ready, and no more.
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
                let (remote, sender) = (event_loop.remote(), sender.clone());
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
        std::panic::resume_unwind(Box::new("on purpose"));
    }

    #[test]
    fn a_handler_that_panics_ends_the_run_and_the_rest_is_kept() {
        let (event_loop, log) = (EventLoop::new(), Log::default());
        event_loop.set_exception_handler(|event_loop, _, _| fails(event_loop));
        event_loop.call_soon(fails).unwrap();
        event_loop.call_soon(say(&log, "kept")).unwrap();
        catch_unwind(AssertUnwindSafe(|| event_loop.run_forever())).unwrap_err();
        assert!(!event_loop.is_running());
        run_ready(&event_loop);
        assert_eq!(*log.borrow(), ["kept"]);
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
}
