//! `Condition`: the holder of a lock waits until another caller signals a change.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::lock::Lock;
use super::rlock::RLock;
use super::timeout::{self, compared};
use crate::args::Args;
use crate::caller::{Caller, Receipt};
use crate::referent::{Failure, Referent, Reply, referent};
use crate::sync::{Mutex, lock};

/// A condition: Python's `threading.Condition` and `SyncManager.Condition`.
///
/// Callers are notified in FIFO order; each then waits for the lock like any other caller. If a notified client has
/// disconnected, the notification passes to the next caller. A condition can use an existing `RLock`, with which
/// CPython's `wait` fails.
///
/// ```
/// use multiprocessing_managers::types::Condition;
/// use multiprocessing_managers::{Args, Caller, Referent};
///
/// let (condition, caller) = (Condition::new(Args::default()).unwrap(), Caller::local());
/// condition.call(&caller, "acquire", Args::default()).unwrap();
/// condition.notify_all(&caller).unwrap();
/// condition.call(&caller, "release", Args::default()).unwrap();
/// ```
pub struct Condition {
    me: Weak<Condition>,
    inner: Inner,
    /// The proxy of the lock passed to the constructor, if any.
    given: Value,
    line: Mutex<Line<()>>,
}

/// The lock.
enum Inner {
    Lock(Arc<Lock>),
    RLock(Arc<RLock>),
}

impl Condition {
    /// Creates `Condition(lock=None)`, with its own `RLock` or with a `Lock` or `RLock` of the same server.
    ///
    /// # Errors
    ///
    /// `TypeError` for any other proxy, `AttributeError` for any other value.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [given] = args.bind("Condition.__init__", [("lock", Some(Value::None))])?;
        let inner = match &given {
            Value::None => Inner::RLock(RLock::new(Args::default())?),
            Value::Proxy(_) => Inner::of(&given).ok_or_else(|| {
                Exception::type_error("a Condition needs a Lock or an RLock of its own server")
            })?,
            other => {
                let class = other.type_name();
                let text = format!("'{class}' object has no attribute 'acquire'");
                return Err(Exception::attribute_error(text));
            }
        };
        Ok(Arc::new_cyclic(|me| Condition {
            me: me.clone(),
            inner,
            given,
            line: Mutex::default(),
        }))
    }

    /// Releases the lock, blocks until a notification, acquires the lock as often as it was acquired before, and returns
    /// whether there was a notification.
    ///
    /// `timeout` is Python's: seconds, or `None` to wait without limit. Acquiring the lock again is not limited.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the caller does not hold the lock, [`Failure::Gone`] if the caller goes away, `TypeError` or
    /// `OverflowError` for an invalid timeout.
    pub fn wait(&self, caller: &Arc<Caller>, timeout: &Value) -> Result<bool, Failure> {
        if !self.inner.is_owned(caller) {
            return Err(Exception::runtime_error("cannot wait on un-acquired lock").into());
        }
        let timeout = timeout::condition(timeout)?;
        // Join the line before the lock is released, so that the next holder finds this caller waiting.
        let place = lock(&self.line).join(caller, ())?;
        let released = self.inner.release_all(caller);
        // If another caller has just released the Lock, this only leaves the line.
        let timeout = if released.is_ok() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        let turn = place.wait(timeout, &self.line, |line| line).0;
        let notified = match turn {
            Turn::Given(()) => true,
            Turn::TimedOut => false,
            Turn::Gone(given) => {
                self.pass_on(given.is_some());
                return Err(Failure::Gone);
            }
        };
        let entered = released
            .map_err(Failure::from)
            .and_then(|depth| self.inner.enter(caller, depth));
        if let Err(failure) = entered {
            self.pass_on(notified);
            return Err(failure);
        }
        if let Some(condition) = self.me.upgrade() {
            let caller_id = caller.id();
            caller.handed(Box::new(Unread {
                condition,
                caller_id,
                notified,
            }));
        }
        Ok(notified)
    }

    /// Wakes the `n` longest-waiting callers; `n` is a Python number, rounded up.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the caller does not hold the lock, `TypeError` if a caller waits and `n` is not a number.
    fn notify(&self, caller: &Arc<Caller>, n: &Value) -> Result<(), Exception> {
        self.check_notifier(caller)?;
        let mut line = lock(&self.line);
        if line.len() == 0 {
            return Ok(());
        }
        let mut left = compared(n, ">")?;
        while left > 0.0 && line.give(()).is_ok() {
            left -= 1.0;
        }
        Ok(())
    }

    /// Wakes all waiting callers.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the caller does not hold the lock.
    pub fn notify_all(&self, caller: &Arc<Caller>) -> Result<(), Exception> {
        self.check_notifier(caller)?;
        let mut line = lock(&self.line);
        while line.give(()).is_ok() {}
        Ok(())
    }

    fn check_notifier(&self, caller: &Arc<Caller>) -> Result<(), Exception> {
        match self.inner.is_owned(caller) {
            true => Ok(()),
            false => Err(Exception::runtime_error(
                "cannot notify on un-acquired lock",
            )),
        }
    }

    /// Passes on a notification that its caller cannot use.
    fn pass_on(&self, notified: bool) {
        if notified {
            // If no caller waits, the notification is dropped.
            lock(&self.line).give(()).ok();
        }
    }
}

impl Inner {
    fn of(proxy: &Value) -> Option<Self> {
        let object: Arc<dyn Any + Send + Sync> = referent(proxy)?;
        let rlock = match object.downcast::<Lock>() {
            Ok(lock) => return Some(Inner::Lock(lock)),
            Err(object) => object.downcast::<RLock>(),
        };
        rlock.ok().map(Inner::RLock)
    }

    /// A `Lock` has no owner, so this only checks that it is locked, as in CPython.
    fn is_owned(&self, caller: &Caller) -> bool {
        match self {
            Inner::Lock(lock) => lock.locked(),
            Inner::RLock(lock) => lock.is_owned(caller),
        }
    }

    /// Returns how often it was acquired.
    fn release_all(&self, caller: &Caller) -> Result<usize, Exception> {
        match self {
            Inner::Lock(lock) => lock.release().map(|()| 1),
            Inner::RLock(lock) => Ok(lock.leave(caller.id())),
        }
    }

    fn enter(&self, caller: &Arc<Caller>, depth: usize) -> Result<bool, Failure> {
        match self {
            Inner::Lock(lock) => lock.acquire(caller, None),
            Inner::RLock(lock) => lock.enter(caller, depth, None),
        }
    }

    fn referent(&self) -> &dyn Referent {
        match self {
            Inner::Lock(lock) => &**lock,
            Inner::RLock(lock) => &**lock,
        }
    }
}

struct Unread {
    condition: Arc<Condition>,
    caller_id: u64,
    notified: bool,
}

impl Receipt for Unread {
    fn unread(self: Box<Self>) {
        match &self.condition.inner {
            Inner::Lock(lock) => lock.take_back(self.caller_id),
            Inner::RLock(lock) => drop(lock.leave(self.caller_id)),
        }
        self.condition.pass_on(self.notified);
    }
}

impl Referent for Condition {
    fn typeid(&self) -> &'static str {
        "Condition"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["acquire", "release", "wait", "notify", "notify_all"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format!("Condition.{method}");
        match method {
            "acquire" | "release" => self.inner.referent().call(caller, method, args),
            "wait" => {
                let [timeout] = args.bind(&function, [("timeout", Some(Value::None))])?;
                Ok(self.wait(caller, &timeout)?.into())
            }
            "notify" => {
                let [n] = args.bind(&function, [("n", Some(Value::Int(1)))])?;
                Ok(self.notify(caller, &n)?.into())
            }
            "notify_all" => {
                args.bind(&function, [])?;
                Ok(self.notify_all(caller)?.into())
            }
            _ => Err(Failure::no_method(method)),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        let inner = self.inner.referent().repr()?;
        Ok(format!("<Condition({inner}, {})>", lock(&self.line).len()))
    }

    fn value(&self) -> Result<Value, Failure> {
        self.inner.referent().value()
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        see(&self.given);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use crate::caller::Gone;
    use crate::referent::Kept;
    use pickle_value::{Address, Global, Proxy};

    use super::*;
    use crate::types::trial::*;

    const NEW: Make = |args| Ok(Condition::new(args)?);

    fn new() -> Arc<Condition> {
        Condition::new(Args::default()).unwrap()
    }

    fn over(object: Arc<dyn Referent>) -> Result<Arc<Condition>, Exception> {
        let class = Global {
            module: "multiprocessing.managers".into(),
            name: "AcquirerProxy".into(),
        };
        let proxy = Proxy {
            class: Arc::new(class),
            typeid: object.typeid().into(),
            address: Address::Tcp("127.0.0.1".to_owned(), 1),
            ident: "1".into(),
            exposed: None,
            keep: Some(Arc::new(Kept::new(object))),
        };
        Condition::new(args([Value::Proxy(Arc::new(proxy))]))
    }

    fn all() -> [Arc<Condition>; 3] {
        let lock = Lock::new(Args::default()).unwrap();
        let rlock = RLock::new(Args::default()).unwrap();
        [new(), over(lock).unwrap(), over(rlock).unwrap()]
    }

    fn ask(condition: &Condition, caller: &Arc<Caller>, method: &str) -> String {
        call(condition, caller, method, Args::default())
    }

    fn waiting(condition: &Condition) -> usize {
        lock(&condition.line).len()
    }

    /// Acquires, waits, and releases after a notification.
    fn wait(condition: &Arc<Condition>, caller: Arc<Caller>) -> thread::JoinHandle<String> {
        let (waiter, before) = (condition.clone(), waiting(condition));
        let thread = thread::spawn(move || {
            assert_eq!(ask(&waiter, &caller, "acquire"), "True");
            let limit = args([LIMIT.as_secs_f64().into()]);
            let answer = call(&*waiter, &caller, "wait", limit);
            if answer == "True" {
                assert_eq!(ask(&waiter, &caller, "release"), "None");
            }
            answer
        });
        until(|| waiting(condition) > before);
        thread
    }

    #[test]
    fn answers_are_those_of_python() {
        let mut calls = vec![
            ("acquire", Args::default()),
            ("acquire", args([Value::None])),
            ("release", Args::default()),
            ("wait", args([f64::NAN.into()])),
            ("wait", args([Value::Int(1), Value::Int(2)])),
            ("wait", Args::default().keyword("x", 1i64)),
            ("wait", Args::default().keyword("timeout", 0i64)),
            ("notify", Args::default()),
            ("notify", args([Value::Int(1), Value::Int(2)])),
            ("notify", Args::default().keyword("x", 1i64)),
            ("notify_all", Args::default()),
            ("notify_all", args([Value::Int(1)])),
        ];
        for value in strange() {
            calls.push(("wait", args([value.clone()])));
            calls.push(("notify", args([value])));
        }
        let class = "threading.Condition";
        compare(NEW, class, Args::default(), &[], &calls);
        compare(NEW, class, Args::default(), &["acquire"], &calls);
        let new = [
            Args::default(),
            args([Value::None]),
            args([Value::Int(1)]),
            args(["a".into()]),
            args([Value::Int(1), Value::Int(2)]),
            Args::default().keyword("x", 1i64),
        ];
        compare_new(NEW, class, &new);
    }

    #[test]
    fn the_longest_waiting_are_notified_first() {
        for condition in all() {
            let caller = local();
            let threads = [(); 4].map(|()| wait(&condition, local()));
            ask(&condition, &caller, "acquire");
            assert_eq!(
                call(&*condition, &caller, "notify", args([1.5.into()])),
                "None"
            );
            ask(&condition, &caller, "release");
            until(|| threads.iter().filter(|thread| thread.is_finished()).count() == 2);
            assert!(threads[0].is_finished() && threads[1].is_finished());
            ask(&condition, &caller, "acquire");
            let refused =
                "builtins.TypeError: '>' not supported between instances of 'str' and 'int'";
            assert_eq!(
                call(&*condition, &caller, "notify", args(["a".into()])),
                refused
            );
            assert_eq!(ask(&condition, &caller, "notify_all"), "None");
            ask(&condition, &caller, "release");
            assert!(
                threads
                    .into_iter()
                    .all(|thread| thread.join().unwrap() == "True")
            );
            assert!(condition.repr().unwrap().ends_with(">, 0)>"));
        }
    }

    #[test]
    fn all_levels_are_released_and_restored() {
        let condition = new();
        let caller = local();
        (0..3).for_each(|_| drop(ask(&condition, &caller, "acquire")));
        assert_eq!(
            call(&*condition, &caller, "wait", args([0.01.into()])),
            "False"
        );
        let notifier = condition.clone();
        let thread = thread::spawn(move || {
            let caller = local();
            until(|| waiting(&notifier) == 1);
            assert_eq!(ask(&notifier, &caller, "acquire"), "True");
            ask(&notifier, &caller, "notify");
            ask(&notifier, &caller, "release")
        });
        assert_eq!(ask(&condition, &caller, "wait"), "True");
        assert_eq!(thread.join().unwrap(), "None");
        (0..3).for_each(|_| assert_eq!(ask(&condition, &caller, "release"), "None"));
        let refused = "builtins.RuntimeError: cannot release un-acquired lock";
        assert_eq!(ask(&condition, &caller, "release"), refused);
    }

    #[test]
    fn after_a_timeout_the_lock_is_waited_for() {
        for condition in all() {
            let (waiter, holder) = (condition.clone(), local());
            let thread = thread::spawn(move || {
                let caller = local();
                ask(&waiter, &caller, "acquire");
                call(&*waiter, &caller, "wait", args([0.05.into()]))
            });
            until(|| waiting(&condition) == 1);
            assert_eq!(ask(&condition, &holder, "acquire"), "True");
            until(|| waiting(&condition) == 0);
            thread::sleep(MOMENT);
            assert!(!thread.is_finished());
            ask(&condition, &holder, "release");
            assert_eq!(thread.join().unwrap(), "False");
        }
    }

    #[test]
    fn no_notification_is_lost_by_who_goes() {
        for condition in all() {
            let holder = local();
            let (caller, client) = remote();
            let gone = wait(&condition, caller);
            let (caller, late) = remote();
            let second = wait(&condition, caller);
            let third = wait(&condition, local());
            // The first goes while it waits, the second with its notification, before it has the lock again.
            drop(client);
            assert_eq!(gone.join().unwrap(), "Gone");
            ask(&condition, &holder, "acquire");
            ask(&condition, &holder, "notify");
            drop(late);
            assert_eq!(second.join().unwrap(), "Gone");
            ask(&condition, &holder, "release");
            assert_eq!(third.join().unwrap(), "True");
        }
    }

    #[test]
    fn a_wake_that_was_never_read_goes_to_the_next() {
        for condition in all() {
            let holder = local();
            let (caller, _client) = remote();
            let (waiter, its) = (condition.clone(), caller.clone());
            let first = thread::spawn(move || {
                ask(&waiter, &its, "acquire");
                ask(&waiter, &its, "wait")
            });
            until(|| waiting(&condition) == 1);
            let second = wait(&condition, local());
            ask(&condition, &holder, "acquire");
            ask(&condition, &holder, "notify");
            ask(&condition, &holder, "release");
            assert_eq!(first.join().unwrap(), "True");
            leave(&caller, false, Gone::Left);
            assert_eq!(second.join().unwrap(), "True");
        }
    }

    #[test]
    fn other_proxies_are_refused() {
        let event = crate::types::Event::new(Args::default()).unwrap();
        let refused = over(event).err().unwrap();
        assert!(refused.is("builtins", "TypeError"));
    }

    /// Every token is taken, although a third of the waiting callers disconnect.
    #[test]
    fn no_consumer_sleeps_beside_a_token() {
        const MADE: usize = 1500;
        for condition in all() {
            let (tokens, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let over = Arc::new(AtomicBool::new(false));
            let (doom, reaper) = reaper();
            let consumers = (1..=6).map(|number| {
                let (condition, tokens, taken) = (condition.clone(), tokens.clone(), taken.clone());
                let (over, doom) = (over.clone(), doom.clone());
                thread::spawn(move || {
                    let mut dice = Dice(number);
                    while !over.load(Ordering::SeqCst) {
                        let (caller, client) = remote();
                        let doomed = dice.roll(3) == 0;
                        let _client = if doomed {
                            doom.send(client).unwrap();
                            None
                        } else {
                            Some(client)
                        };
                        if ask(&condition, &caller, "acquire") != "True" {
                            leave(&caller, false, Gone::Left);
                            continue;
                        }
                        let mut here = true;
                        while here
                            && tokens.load(Ordering::SeqCst) == 0
                            && !over.load(Ordering::SeqCst)
                        {
                            here = ask(&condition, &caller, "wait") == "True";
                        }
                        if doomed {
                            leave(&caller, false, Gone::Left);
                            continue;
                        }
                        assert!(here);
                        if tokens.load(Ordering::SeqCst) > 0 {
                            tokens.fetch_sub(1, Ordering::SeqCst);
                            taken.fetch_add(1, Ordering::SeqCst);
                        }
                        drop(caller.receipt());
                        assert_eq!(ask(&condition, &caller, "release"), "None");
                    }
                })
            });
            let consumers: Vec<_> = consumers.collect();
            let caller = local();
            for number in 0..MADE {
                assert_eq!(ask(&condition, &caller, "acquire"), "True");
                tokens.fetch_add(1, Ordering::SeqCst);
                assert_eq!(ask(&condition, &caller, "notify"), "None");
                assert_eq!(ask(&condition, &caller, "release"), "None");
                if number % 3 == 0 {
                    until(|| tokens.load(Ordering::SeqCst) < 4);
                }
            }
            until(|| taken.load(Ordering::SeqCst) == MADE);
            over.store(true, Ordering::SeqCst);
            until(|| {
                assert_eq!(ask(&condition, &caller, "acquire"), "True");
                ask(&condition, &caller, "notify_all");
                ask(&condition, &caller, "release");
                consumers.iter().all(|thread| thread.is_finished())
            });
            consumers
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            drop(doom);
            reaper.join().unwrap();
        }
    }

    #[test]
    fn a_client_that_leaves_when_it_is_notified_passes_it_on() {
        for condition in all() {
            let (caller, client) = remote();
            let gone = wait(&condition, caller);
            let next = wait(&condition, local());
            let mut line = lock(&condition.line);
            drop(client);
            // It has noticed that its client has disconnected, but cannot leave the line yet.
            thread::sleep(MOMENT);
            line.give(()).unwrap();
            drop(line);
            // Or it was so quick to see its notification that it acquired and released the lock.
            if gone.join().unwrap() == "Gone" {
                assert_eq!(next.join().unwrap(), "True");
            } else {
                lock(&condition.line).give(()).unwrap();
                assert_eq!(next.join().unwrap(), "True");
            }
        }
    }
}
