//! `Event`: a flag that callers set, clear and wait for.

use std::sync::Arc;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::timeout;
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A flag: Python's `threading.Event` and `SyncManager.Event`.
///
/// Setting it wakes all waiting callers, even if it is cleared immediately afterwards.
///
/// ```
/// use multiprocessing_managers::types::Event;
/// use multiprocessing_managers::Args;
///
/// let event = Event::new(Args::default()).unwrap();
/// event.set();
/// assert!(event.is_set());
/// ```
#[derive(Default)]
pub struct Event {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    set: bool,
    /// Empty while the flag is set.
    line: Line<()>,
}

impl Event {
    /// Creates `Event()`.
    ///
    /// # Errors
    ///
    /// `TypeError` for any argument.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        args.bind("Event.__init__", [])?;
        Ok(Arc::default())
    }

    /// Returns whether the flag is set.
    pub fn is_set(&self) -> bool {
        lock(&self.state).set
    }

    /// Sets the flag, and wakes all waiting callers.
    pub fn set(&self) {
        let mut state = lock(&self.state);
        state.set = true;
        while state.line.give(()).is_ok() {}
    }

    /// Clears the flag.
    pub fn clear(&self) {
        lock(&self.state).set = false;
    }

    /// Blocks until the flag is set, and returns whether it is.
    ///
    /// `timeout` is Python's: seconds, or `None` to wait without limit.
    ///
    /// # Errors
    ///
    /// [`Failure::Gone`] if the caller goes away; `TypeError` or `OverflowError` for an invalid timeout, if the call has to
    /// wait.
    pub fn wait(&self, caller: &Arc<Caller>, timeout: &Value) -> Result<bool, Failure> {
        let mut state = lock(&self.state);
        if state.set {
            return Ok(true);
        }
        let timeout = timeout::condition(timeout)?;
        let place = state.line.join(caller, ())?;
        drop(state);
        match place.wait(timeout, &self.state, |state| &mut state.line).0 {
            Turn::Given(()) => Ok(true),
            Turn::TimedOut => Ok(false),
            Turn::Gone(_) => Err(Failure::Gone),
        }
    }
}

impl Referent for Event {
    fn typeid(&self) -> &'static str {
        "Event"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["is_set", "set", "clear", "wait"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format!("Event.{method}");
        if method == "wait" {
            let [timeout] = args.bind(&function, [("timeout", Some(Value::None))])?;
            return Ok(self.wait(caller, &timeout)?.into());
        }
        args.bind(&function, [])?;
        match method {
            "is_set" => return Ok(self.is_set().into()),
            "set" => self.set(),
            "clear" => self.clear(),
            _ => return Err(Failure::no_method(method)),
        }
        Ok(().into())
    }

    fn repr(&self) -> Result<String, Failure> {
        let state = if self.is_set() { "set" } else { "unset" };
        Ok(format!("<threading.Event at {self:p}: {state}>"))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.lock"))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::types::trial::*;

    const NEW: Make = |args| Ok(Event::new(args)?);

    #[test]
    fn answers_are_those_of_python() {
        let mut calls = vec![
            ("wait", args([Value::Int(1), Value::Int(2)])),
            ("wait", args([f64::NAN.into()])),
            ("wait", Args::default().keyword("x", 1i64)),
            ("wait", Args::default().keyword("timeout", 0i64)),
            ("is_set", Args::default()),
            ("is_set", args([Value::Int(1)])),
            ("is_set", Args::default().keyword("x", 1i64)),
            ("set", Args::default()),
            ("set", args([Value::Int(1)])),
            ("clear", Args::default()),
            ("clear", args([Value::Int(1), Value::Int(2)])),
        ];
        // 292 years are beyond the limit.
        let short = |value: &Value| !matches!(value, Value::Int(9_223_372_036));
        for value in strange().into_iter().filter(short) {
            calls.push(("wait", args([value])));
        }
        let class = "threading.Event";
        compare(NEW, class, Args::default(), &[], &calls);
        compare(NEW, class, Args::default(), &["set"], &calls);
        compare_new(NEW, class, &[Args::default(), args([Value::Int(1)])]);
    }

    #[test]
    fn all_who_wait_are_told_and_who_comes_later_does_not_wait() {
        let event = Event::new(Args::default()).unwrap();
        let threads = (0..3).map(|_| {
            let event = event.clone();
            thread::spawn(move || event.wait(&local(), &Value::None).unwrap())
        });
        let threads: Vec<_> = threads.collect();
        until(|| lock(&event.state).line.len() == 3);
        assert!(event.repr().unwrap().ends_with(": unset>"));
        event.set();
        event.clear();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        assert!(!event.wait(&local(), &0.01.into()).unwrap());
        event.set();
        assert!(event.wait(&local(), &Value::None).unwrap());
        assert!(event.repr().unwrap().ends_with(": set>"));
    }

    #[test]
    fn a_client_that_leaves_stops_waiting() {
        let event = Event::new(Args::default()).unwrap();
        let (caller, client) = remote();
        let waiter = event.clone();
        let thread = thread::spawn(move || call(&*waiter, &caller, "wait", Args::default()));
        until(|| lock(&event.state).line.len() == 1);
        drop(client);
        assert_eq!(thread.join().unwrap(), "Gone");
        assert_eq!(lock(&event.state).line.len(), 0);
    }
}
