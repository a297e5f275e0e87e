//! `EventLoop`, or what a runtime is: a queue of what is ready, timers in order, and a sleep that others can end.
//!
//! Python:  `asyncio.new_event_loop()` and the methods of the loop, under their Python names
//! Differs: a callback is handed the loop. What other threads may do is a type of its own, `Remote`. This loop knows
//!          no files or sockets: asyncio's and tokio's sleep in epoll, this one until a message comes or a timer is
//!          due.
//! Blocks:  only `run_forever` and `run_until_complete`; no lock is held while code of yours runs. A callback that
//!          does not return soon holds up all others.
//! Panics:  one in a callback, a task, a message or a destructor of these is reported to the exception handler, and the
//!          loop goes on. A panic of the handler comes out of `run_forever`, or `close`.
//! Order:   callbacks run in the order in which they became ready, timers in the order of their times; those of one
//!          time in the order in which they were set.
//! Drop:    what waits in the loop and holds the loop keeps it alive, so `close` it.
//! Cost:    a callback is one allocation, a timer O(log n) besides. No lock, and no atomic operation but a load in
//!          each round, unless something came from another thread.
//! Needs:   handle.rs, remote.rs, task.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::Any;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use std::{error, fmt, result};

use crate::handle::{Callback, Handle, TimerKey};
use crate::remote::{Message, Remote, Running};
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

type Handler = dyn Fn(&EventLoop, &'static str, Problem);
pub type Result<T> = result::Result<T, LoopError>;

impl EventLoop {
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

    /// Has the function called in the next round, after all that are ready now.
    pub fn call_soon<F: FnOnce(&EventLoop) + 'static>(&self, f: F) -> Result<Handle> {
        self.check_open()?;
        let handle = Handle::new(self, f, None);
        self.queue(Rc::clone(&handle.callback));
        Ok(handle)
    }

    /// Has the function called when the delay is over.
    pub fn call_later<F: FnOnce(&EventLoop) + 'static>(&self, d: Duration, f: F) -> Result<Handle> {
        self.call_at(self.after(d), f)
    }

    /// Has the function called when the loop's clock shows this time, or a later one.
    pub fn call_at<F: FnOnce(&EventLoop) + 'static>(&self, when: Instant, f: F) -> Result<Handle> {
        self.check_open()?;
        let number = self.0.timers_made.get();
        self.0.timers_made.set(number + 1);
        let handle = Handle::new(self, f, Some((when, number)));
        let callback = Rc::clone(&handle.callback);
        self.timers().insert((when, number), callback);
        Ok(handle)
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
        let _unset = Unset(&self.0.stopping);
        loop {
            self.run_once();
            if self.0.stopping.get() {
                return Ok(());
            }
        }
    }

    /// Ends the run after this round: what is ready is still called.
    pub fn stop(&self) {
        self.0.stopping.set(true);
    }

    /// A round: sleeps if nothing is ready, then calls what is ready. What that makes ready waits for the next
    /// round, so that timers and other threads have their turn.
    fn run_once(&self) {
        let next_timer = self.0.timers.borrow().first_key_value().map(|t| t.0.0);
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

    /// Reports a panic, and goes on.
    fn caught<R>(&self, name: &'static str, f: impl FnOnce() -> R) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
            self.report(name, Problem::Panic(panic));
        }
    }

    fn report(&self, name: &'static str, problem: Problem) {
        let handler = Rc::clone(&self.0.handler.borrow());
        handler(self, name, problem);
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
            self.caught(callback.name(), || callback.cancel(self));
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

    /// Debug mode: what takes so long, or longer, is reported. It costs two looks at the clock for each callback.
    /// `Duration::MAX` ends it.
    pub fn set_slow_callback_duration(&self, duration: Duration) {
        self.0.slow.set(duration);
    }

    /// For other threads: clone it.
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    pub fn queue(&self, callback: Rc<dyn Callback>) {
        self.0.ready.borrow_mut().push_back(callback);
    }

    pub fn timers(&self) -> RefMut<'_, BTreeMap<TimerKey, Rc<dyn Callback>>> {
        self.0.timers.borrow_mut()
    }

    pub fn tasks(&self) -> RefMut<'_, Tasks> {
        self.0.tasks.borrow_mut()
    }

    pub fn check_open(&self) -> Result<()> {
        (!self.is_closed()).then_some(()).ok_or(LoopError::Closed)
    }
}

/// The end of a run, also by a panic of the handler.
struct Unset<'a>(&'a Cell<bool>);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        self.0.set(false);
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
        std::panic::resume_unwind(Box::new("on purpose"));
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
}
