//! `Lock`: held by one caller at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::timeout;
use crate::args::Args;
use crate::caller::{Caller, Gone, Receipt};
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A lock: Python's `threading.Lock` and `SyncManager.Lock`.
///
/// Callers get the lock in FIFO order, and any caller may release it.
///
/// When the holder's connection ends, the lock stays locked: a program may acquire it in a child and release it in the
/// parent, as CPython's own tests do. When the holder's process is killed, the lock is released, unless another caller
/// released it earlier. A client that disconnects before it reads the grant never held the lock. CPython's server never
/// releases the lock in these two cases.
///
/// ```
/// use multiprocessing_managers::types::Lock;
/// use multiprocessing_managers::{Args, Caller};
///
/// let lock = Lock::new(Args::default()).unwrap();
/// assert!(lock.acquire(&Caller::local(), None).unwrap());
/// assert!(lock.locked());
/// lock.release().unwrap();
/// ```
pub struct Lock {
    me: Weak<Lock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The caller that acquired the lock.
    owner: Option<u64>,
    /// Empty while the lock is free.
    line: Line<()>,
}

impl Lock {
    /// Creates `Lock()`.
    ///
    /// # Errors
    ///
    /// `TypeError` for any argument.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        no_arguments("_thread.allocate_lock", &args)?;
        Ok(Arc::new_cyclic(|me| Lock {
            me: me.clone(),
            state: Mutex::default(),
        }))
    }

    /// Acquires the lock, and returns whether it did. Blocks while another caller holds it, at most for the timeout; a
    /// timeout of zero does not block.
    ///
    /// # Errors
    ///
    /// [`Failure::Gone`] if the client disconnects; it does not hold the lock then.
    pub fn acquire(
        &self,
        caller: &Arc<Caller>,
        timeout: Option<Duration>,
    ) -> Result<bool, Failure> {
        let mut state = lock(&self.state);
        if state.owner.is_none() {
            state.owner = Some(caller.id());
        } else {
            let place = state.line.join(caller, ())?;
            drop(state);
            let (turn, mut state) = place.wait(timeout, &self.state, |state| &mut state.line);
            match turn {
                Turn::Given(()) => {}
                Turn::TimedOut => return Ok(false),
                Turn::Gone(given) => {
                    if given.is_some() {
                        state.pass();
                    }
                    return Err(Failure::Gone);
                }
            }
        }
        if let Some(me) = self.me.upgrade() {
            caller.holds(&me);
            let caller_id = caller.id();
            let lock = me;
            caller.handed(Box::new(Unread { lock, caller_id }));
        }
        Ok(true)
    }

    /// Releases the lock, whichever caller holds it.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the lock is not locked.
    pub fn release(&self) -> Result<(), Exception> {
        let mut state = lock(&self.state);
        if state.owner.is_none() {
            return Err(Exception::runtime_error("release unlocked lock"));
        }
        state.pass();
        Ok(())
    }

    /// Returns whether a caller holds the lock.
    pub fn locked(&self) -> bool {
        lock(&self.state).owner.is_some()
    }

    /// Releases the lock if that acquisition is still the current one.
    pub(crate) fn take_back(&self, caller_id: u64) {
        let mut state = lock(&self.state);
        if state.owner == Some(caller_id) {
            state.pass();
        }
    }
}

impl State {
    /// Passes the lock to the next caller.
    fn pass(&mut self) {
        self.owner = self.line.give(()).ok().map(|(next, ())| next);
    }
}

struct Unread {
    lock: Arc<Lock>,
    caller_id: u64,
}

impl Receipt for Unread {
    fn unread(self: Box<Self>) {
        self.lock.take_back(self.caller_id);
    }
}

impl Referent for Lock {
    fn typeid(&self) -> &'static str {
        "Lock"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        match method {
            "acquire" => Ok(self.acquire(caller, timeout::acquire(args)?)?.into()),
            "release" => {
                no_arguments("lock.release", &args)?;
                Ok(self.release()?.into())
            }
            _ => Err(Failure::no_method(method)),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        let state = if self.locked() { "locked" } else { "unlocked" };
        Ok(format!("<{state} _thread.lock object at {self:p}>"))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.lock"))
    }

    fn gone(&self, caller: u64, how: Gone) -> bool {
        if how == Gone::Killed {
            self.take_back(caller);
        }
        lock(&self.state).owner == Some(caller)
    }
}

/// Returns the error of a C function without parameters that got arguments.
pub(crate) fn no_arguments(function: &str, args: &Args) -> Result<(), Exception> {
    let fail = |text: String| {
        Err(Exception::type_error(format!(
            "{function}() takes no {text}"
        )))
    };
    match args.positional.len() {
        _ if !args.keywords.is_empty() => fail("keyword arguments".to_owned()),
        0 => Ok(()),
        given => fail(format!("arguments ({given} given)")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::types::trial::*;

    fn new() -> Arc<Lock> {
        Lock::new(Args::default()).unwrap()
    }

    fn waiting(lock: &Lock) -> usize {
        super::lock(&lock.state).line.len()
    }

    #[test]
    fn answers_are_those_of_python() {
        let mut calls = vec![
            ("acquire", Args::default()),
            ("acquire", args([true.into(), true.into()])),
            ("acquire", args([false.into(), Value::Int(-1)])),
            ("acquire", args([false.into(), f64::NAN.into()])),
            ("acquire", args([f64::NAN.into(), f64::NAN.into()])),
            ("acquire", args([true.into(), f64::NAN.into()])),
            ("acquire", args([Value::Int(1 << 40)])),
            ("acquire", args([Value::Int(-(1 << 40))])),
            ("acquire", args([Value::None])),
            ("acquire", args([true.into(), Value::None])),
            (
                "acquire",
                args([Value::Int(1), Value::Int(2), Value::Int(3)]),
            ),
            ("acquire", Args::default().keyword("x", 1i64)),
            ("acquire", args([true.into()]).keyword("blocking", 1i64)),
            ("acquire", args([Value::None]).keyword("x", 1i64)),
            (
                "acquire",
                args([true.into(), Value::Int(1)]).keyword("timeout", 1i64),
            ),
            ("acquire", Args::default().keyword("timeout", 0i64)),
            (
                "acquire",
                Args::default()
                    .keyword("a", 0i64)
                    .keyword("b", 0i64)
                    .keyword("c", 0i64),
            ),
            (
                "acquire",
                Args::default()
                    .keyword("timeout", -1i64)
                    .keyword("blocking", false),
            ),
            ("release", Args::default()),
            ("release", args([Value::Int(1)])),
            ("release", args([Value::Int(1), Value::Int(1)])),
            ("release", Args::default().keyword("x", 1i64)),
            ("release", args([Value::Int(1)]).keyword("x", 1i64)),
        ];
        for value in strange() {
            calls.push(("acquire", args([value.clone()])));
            calls.push(("acquire", args([true.into(), value.clone()])));
            calls.push(("acquire", args([false.into(), value])));
        }
        compare(
            |args| Ok(Lock::new(args)?),
            "threading.Lock",
            Args::default(),
            &[],
            &calls,
        );
        let rlock: Make = |args| Ok(crate::types::RLock::new(args)?);
        compare(rlock, "threading.RLock", Args::default(), &[], &calls);
        let held = [
            ("acquire", args([false.into()])),
            ("acquire", args([true.into(), Value::Int(0)])),
            ("acquire", args([true.into(), 0.01.into()])),
            ("acquire", args([true.into(), (-0.5).into()])),
            ("release", Args::default()),
        ];
        compare(
            |args| Ok(Lock::new(args)?),
            "threading.Lock",
            Args::default(),
            &["acquire"],
            &held,
        );
        compare(
            rlock,
            "threading.RLock",
            Args::default(),
            &["acquire"],
            &held,
        );
        let new = [
            Args::default(),
            args([Value::Int(1)]),
            args([Value::Int(1), Value::Int(2)]),
            Args::default().keyword("x", 1i64),
        ];
        compare_new(|args| Ok(Lock::new(args)?), "threading.Lock", &new);
        compare_new(rlock, "threading.RLock", &new);
    }

    #[test]
    fn those_who_wait_are_served_in_order() {
        let lock = new();
        let first = local();
        lock.acquire(&first, None).unwrap();
        let (sender, order) = mpsc::channel();
        let threads = (0..4).map(|number| {
            let (waiter, sender) = (lock.clone(), sender.clone());
            let thread = thread::spawn(move || {
                assert!(waiter.acquire(&local(), Some(LIMIT)).unwrap());
                sender.send(number).unwrap();
                waiter.release().unwrap();
            });
            until(|| waiting(&lock) == number + 1);
            thread
        });
        let threads: Vec<_> = threads.collect();
        assert!(!lock.acquire(&first, Some(MOMENT)).unwrap());
        lock.release().unwrap();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(lock.release().is_err());
    }

    #[test]
    fn a_client_that_leaves_while_it_waits_takes_nothing() {
        let lock = new();
        lock.acquire(&local(), None).unwrap();
        let (caller, client) = remote();
        let waiter = lock.clone();
        let thread = thread::spawn(move || waiter.acquire(&caller, None));
        until(|| waiting(&lock) == 1);
        drop(client);
        assert!(matches!(thread.join().unwrap(), Err(Failure::Gone)));
        assert_eq!(waiting(&lock), 0);
        lock.release().unwrap();
        assert!(lock.acquire(&local(), Some(Duration::ZERO)).unwrap());
    }

    #[test]
    fn what_was_never_read_is_given_back() {
        let lock = new();
        let (caller, _client) = remote();
        lock.acquire(&caller, None).unwrap();
        let next = lock.clone();
        let thread = thread::spawn(move || next.acquire(&local(), Some(LIMIT)).unwrap());
        until(|| waiting(&lock) == 1);
        leave(&caller, false, Gone::Left);
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_killed_owner_releases_and_one_that_left_does_not() {
        let lock = new();
        let (left, killed) = (local(), local());
        lock.acquire(&left, None).unwrap();
        leave(&left, true, Gone::Left);
        assert!(lock.locked());
        lock.release().unwrap();
        lock.acquire(&killed, None).unwrap();
        leave(&killed, true, Gone::Killed);
        assert!(!lock.locked());
        // If another caller now holds the client's former lock, that caller keeps it.
        lock.acquire(&killed, None).unwrap();
        lock.release().unwrap();
        lock.acquire(&left, None).unwrap();
        leave(&killed, false, Gone::Killed);
        assert!(lock.locked());
    }

    #[test]
    fn it_shows_itself_like_python() {
        let lock = new();
        let shown = lock.repr().unwrap();
        assert!(
            shown.starts_with("<unlocked _thread.lock object at 0x"),
            "{shown}"
        );
        lock.acquire(&local(), None).unwrap();
        assert!(
            lock.repr()
                .unwrap()
                .starts_with("<locked _thread.lock object at 0x")
        );
        assert!(matches!(lock.value(), Err(Failure::Unserializable(_))));
    }

    #[test]
    fn one_is_inside_whoever_goes() {
        exclude(new(), 1);
    }

    #[test]
    fn a_client_that_leaves_when_it_is_served_passes_it_on() {
        let object = new();
        object.acquire(&local(), None).unwrap();
        let (caller, client) = remote();
        let waiter = object.clone();
        let thread = thread::spawn(move || {
            waiter.acquire(&caller, None).ok();
            // If the caller noticed in time that it was served, no client reads the reply.
            leave(&caller, false, Gone::Left);
        });
        until(|| waiting(&object) == 1);
        let mut state = super::lock(&object.state);
        drop(client);
        // It has noticed that its client has disconnected, but cannot leave the line yet.
        thread::sleep(MOMENT);
        state.pass();
        drop(state);
        thread.join().unwrap();
        assert!(!object.locked());
    }
}
