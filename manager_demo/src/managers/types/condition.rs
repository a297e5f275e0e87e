//! `Condition`: who holds its lock waits until another tells that something has changed.
//!
//! Python:  `threading.Condition`, `SyncManager.Condition`
//! Differs: a notification that was meant for a client that has gone goes to the next who waits. It works over a given
//!          `RLock` too, where CPython's `wait` fails.

use std::any::Any;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::super::args::Args;
use super::super::caller::{Caller, Receipt, lock};
use super::super::exception::Exception;
use super::super::referent::{Failure, Referent, Reply, referent};
use super::super::value::Value;
use super::line::{Line, Turn};
use super::lock::Lock;
use super::rlock::RLock;
use super::timeout::{self, class, compared};

/// Those who wait are notified in the order in which they came; then each waits for the lock like anybody else.
pub struct Condition {
    me: Weak<Condition>,
    inner: Inner,
    /// The proxy of the lock, if it was given.
    given: Value,
    line: Mutex<Line<()>>,
}

/// The lock.
enum Inner {
    Lock(Arc<Lock>),
    RLock(Arc<RLock>),
}

impl Condition {
    /// `Condition(lock=None)`: with an `RLock` of its own, or with a `Lock` or `RLock` of this server.
    ///
    /// Errors: `TypeError` for any other proxy, `AttributeError` for what is none.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [given] = args.bind("Condition.__init__", [("lock", Some(Value::None))])?;
        let inner = match &given {
            Value::None => Inner::RLock(RLock::new(Args::default())?),
            Value::Proxy(_) => Inner::of(&given).ok_or_else(|| {
                Exception::type_error("a Condition needs a Lock or an RLock of its own server")
            })?,
            other => {
                let class = class(other);
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

    /// Releases the lock, blocks until it is notified, acquires the lock again, as often as it was, and returns whether it
    /// was notified. `timeout` is Python's: seconds, or none to wait for ever; the lock has to be waited for all the same.
    ///
    /// Errors: `RuntimeError` if the caller does not hold the lock; [`Failure::Gone`]; `TypeError` and `OverflowError` for a
    /// timeout that is none.
    pub fn wait(&self, caller: &Arc<Caller>, timeout: &Value) -> Result<bool, Failure> {
        if !self.inner.is_owned(caller) {
            return Err(Exception::runtime_error("cannot wait on un-acquired lock").into());
        }
        let timeout = timeout::condition(timeout)?;
        // Before the lock is released: whoever acquires it then finds this caller waiting.
        let place = lock(&self.line).join(caller, ())?;
        let released = self.inner.release_all(caller);
        // Somebody else may just have released a Lock; then this only leaves the line.
        let timeout = if released.is_ok() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        let (turn, line) = place.wait(timeout, &self.line, |line| line);
        drop(line);
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

    /// Wakes `n` of those who wait; a number of Python's, rounded up.
    ///
    /// Errors: `RuntimeError` if the caller does not hold the lock; `TypeError` if somebody waits and `n` is no number.
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

    /// Wakes all who wait.
    ///
    /// Errors: `RuntimeError` if the caller does not hold the lock.
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

    /// A notification that came to nobody.
    fn pass_on(&self, notified: bool) {
        if notified {
            // If nobody waits, there is nobody who misses it.
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

    /// A `Lock` has no owner: it only has to be locked, as in CPython.
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
            _ => Err(Failure::not_exposed(method, "Condition")),
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
