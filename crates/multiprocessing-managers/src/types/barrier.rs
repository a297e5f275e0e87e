//! `Barrier`: callers block until all have arrived.

use std::sync::Arc;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::timeout;
use super::values::quoted;
use crate::args::Args;
use crate::caller::Caller;
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A barrier: Python's `threading.Barrier` and `SyncManager.Barrier`.
///
/// The last caller to arrive releases all others, and the barrier can be reused immediately: it does not wait for them to
/// leave. A timeout breaks the barrier for all callers until it is reset. A client that disconnects while it waits no
/// longer counts. An `action` is refused, because the server does not execute client code.
///
/// ```
/// use multiprocessing_managers::types::Barrier;
/// use multiprocessing_managers::{Args, Caller, Value};
///
/// let barrier = Barrier::new(Args::new([1.into()])).unwrap();
/// let place = barrier.wait(&Caller::local(), &Value::None).unwrap();
/// assert_eq!(place, 0);
/// ```
pub struct Barrier {
    /// The number as the client passed it. A fractional or non-positive number is never reached, as in CPython.
    parties: Value,
    timeout: Value,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    broken: bool,
    /// Callers that have arrived. Each gets its place, or `None` when the barrier breaks.
    line: Line<Option<usize>>,
}

impl Barrier {
    /// Creates `Barrier(parties, action=None, timeout=None)`.
    ///
    /// # Errors
    ///
    /// `TypeError` for wrong arguments, `RuntimeError` for an action.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let parameters = [
            ("parties", None),
            ("action", Some(Value::None)),
            ("timeout", Some(Value::None)),
        ];
        let [parties, action, timeout] = args.bind("Barrier.__init__", parameters)?;
        if action.truth() {
            let text = "this server runs no Python, so its barriers take no action";
            return Err(Exception::runtime_error(text));
        }
        Ok(Arc::new(Barrier {
            parties,
            timeout,
            state: Mutex::default(),
        }))
    }

    /// Blocks until all parties have arrived, and returns this caller's place in the order of arrival, from 0.
    ///
    /// `timeout` is Python's: seconds, or `None` for the barrier's own timeout.
    ///
    /// # Errors
    ///
    /// `BrokenBarrierError` if the barrier is broken, breaks or is reset, also by this timeout; [`Failure::Gone`] if the
    /// caller goes away; `TypeError` or `OverflowError` for an invalid timeout, if the call has to wait.
    pub fn wait(&self, caller: &Arc<Caller>, timeout: &Value) -> Result<usize, Failure> {
        let timeout = match timeout {
            Value::None => &self.timeout,
            timeout => timeout,
        };
        let mut state = lock(&self.state);
        if state.broken {
            return Err(Exception::broken_barrier().into());
        }
        let last = state.line.len();
        if self.is_complete(last + 1) {
            for place in 0..last {
                state.line.give(Some(place)).ok();
            }
            return Ok(last);
        }
        let timeout = timeout::until(timeout)?;
        let place = state.line.join(caller, ())?;
        drop(state);
        let (turn, mut state) = place.wait(timeout, &self.state, |state| &mut state.line);
        match turn {
            Turn::Given(Some(place)) => return Ok(place),
            Turn::Given(None) => {}
            Turn::TimedOut => {
                state.broken = true;
                state.fail();
            }
            Turn::Gone(_) => return Err(Failure::Gone),
        }
        Err(Exception::broken_barrier().into())
    }

    /// Breaks the barrier: current and future callers of `wait` get a `BrokenBarrierError`.
    pub fn abort(&self) {
        let mut state = lock(&self.state);
        state.broken = true;
        state.fail();
    }

    /// Makes the barrier usable again. Waiting callers get a `BrokenBarrierError`.
    pub fn reset(&self) {
        let mut state = lock(&self.state);
        state.broken = false;
        state.fail();
    }

    /// Returns whether the barrier is broken.
    pub fn broken(&self) -> bool {
        lock(&self.state).broken
    }

    /// Returns the number of waiting callers.
    pub fn n_waiting(&self) -> usize {
        lock(&self.state).line.len()
    }

    fn is_complete(&self, count: usize) -> bool {
        match &self.parties {
            Value::Float(parties) => *parties == count as f64,
            parties => parties.as_int() == i64::try_from(count).ok(),
        }
    }

    fn get_attribute(&self, args: Args) -> Result<Reply, Failure> {
        let fail = |text: String| Err(Exception::type_error(text).into());
        if !args.keywords.is_empty() {
            return fail("wrapper __getattribute__() takes no keyword arguments".to_owned());
        }
        let [name] = &args.positional[..] else {
            let given = args.positional.len();
            return fail(format!("expected 1 argument, got {given}"));
        };
        if !matches!(name, Value::Str(_) | Value::Surrogates(_)) {
            let class = name.type_name();
            return fail(format!("attribute name must be string, not '{class}'"));
        }
        match name.as_str() {
            Some("parties") => Ok(Reply::Value(self.parties.clone())),
            Some("n_waiting") => Ok(self.n_waiting().into()),
            Some("broken") => Ok(self.broken().into()),
            Some("wait" | "abort" | "reset") => Err(Failure::cannot_pickle("_thread.lock")),
            _ => Err(no_attribute(name).into()),
        }
    }
}

fn no_attribute(name: &Value) -> Exception {
    let before = "'Barrier' object has no attribute '";
    Exception::new("builtins", "AttributeError", [quoted(before, name)])
}

impl State {
    fn fail(&mut self) {
        while self.line.give(None).is_ok() {}
    }
}

impl Referent for Barrier {
    fn typeid(&self) -> &'static str {
        "Barrier"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["__getattribute__", "wait", "abort", "reset"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format!("Barrier.{method}");
        match method {
            "__getattribute__" => self.get_attribute(args),
            "wait" => {
                let [timeout] = args.bind(&function, [("timeout", Some(Value::None))])?;
                Ok(self.wait(caller, &timeout)?.into())
            }
            "abort" => {
                args.bind(&function, [])?;
                self.abort();
                Ok(().into())
            }
            "reset" => {
                args.bind(&function, [])?;
                self.reset();
                Ok(().into())
            }
            _ => Err(Failure::no_method(method)),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        let state = lock(&self.state);
        let waiting = match state.broken {
            true => "broken".to_owned(),
            false => format!("waiters={}/{}", state.line.len(), self.parties),
        };
        Ok(format!("<threading.Barrier at {self:p}: {waiting}>"))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.lock"))
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        see(&self.parties);
        see(&self.timeout);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::types::trial::*;

    const NEW: Make = |args| Ok(Barrier::new(args)?);

    fn new(parties: i64) -> Arc<Barrier> {
        Barrier::new(args([parties.into()])).unwrap()
    }

    fn wait(barrier: &Arc<Barrier>, caller: Arc<Caller>) -> thread::JoinHandle<String> {
        let (barrier, before) = (barrier.clone(), barrier.n_waiting());
        let waiter = barrier.clone();
        let thread = thread::spawn(move || call(&*waiter, &caller, "wait", Args::default()));
        until(|| barrier.n_waiting() != before || thread.is_finished());
        thread
    }

    #[test]
    fn answers_are_those_of_python() {
        let mut calls = vec![
            ("wait", args([Value::Int(1), Value::Int(2)])),
            ("wait", Args::default().keyword("x", 1i64)),
            ("wait", Args::default().keyword("timeout", 0i64)),
            ("reset", Args::default()),
            ("reset", args([Value::Int(1)])),
            ("abort", Args::default()),
            ("abort", args([Value::Int(1)])),
            ("__getattribute__", Args::default()),
            ("__getattribute__", args([Value::Int(1)])),
            ("__getattribute__", args(["a".into(), "b".into()])),
            (
                "__getattribute__",
                Args::default().keyword("name", "parties"),
            ),
        ];
        for name in ["parties", "n_waiting", "broken", "other"] {
            calls.push(("__getattribute__", args([name.into()])));
        }
        for value in strange() {
            calls.push(("wait", args([value])));
        }
        let class = "threading.Barrier";
        compare(NEW, class, args([Value::Int(2)]), &[], &calls);
        compare(NEW, class, args([Value::Int(2)]), &["abort"], &calls);
        compare(NEW, class, args([Value::Int(1)]), &[], &calls);
        let none = args([Value::Int(2), Value::None, "x".into()]);
        compare(NEW, class, none, &[], &[("wait", Args::default())]);
        for parties in [
            Value::Int(0),
            true.into(),
            1.0.into(),
            1.5.into(),
            "a".into(),
        ] {
            let calls = [("wait", args([Value::Int(0)]))];
            compare(NEW, class, args([parties]), &[], &calls);
        }
        let new = [
            Args::default(),
            args([Value::Int(2)]),
            args([Value::Int(2), Value::Int(0)]),
            args([Value::Int(2), Value::None, Value::Int(1), Value::Int(1)]),
            Args::default().keyword("parties", 3i64),
            Args::default().keyword("x", 3i64),
        ];
        compare_new(NEW, class, &new);
        let action = NEW(args([Value::Int(2), Value::global("os", "abort")]));
        assert!(action.is_err_and(|error| error.is("builtins", "RuntimeError")));
    }

    #[test]
    fn all_pass_together_in_their_order_and_again() {
        let barrier = new(3);
        for _ in 0..3 {
            let threads = [0, 1, 2].map(|_| wait(&barrier, local()));
            let places = threads.map(|thread| thread.join().unwrap());
            assert_eq!(places, ["0", "1", "2"]);
            assert_eq!(barrier.n_waiting(), 0);
        }
        let rounds = [(); 3].map(|()| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                let caller = local();
                (0..500)
                    .map(|_| barrier.wait(&caller, &Value::None).unwrap())
                    .collect::<Vec<_>>()
            })
        });
        let rounds = rounds.map(|thread| thread.join().unwrap());
        for round in 0..500 {
            assert_eq!(rounds.iter().map(|places| places[round]).sum::<usize>(), 3);
        }
    }

    #[test]
    fn it_breaks_for_all_and_can_be_reset() {
        let broken = "threading.BrokenBarrierError: ";
        let barrier = new(3);
        let first = wait(&barrier, local());
        let soon = args([0.01.into()]);
        assert_eq!(call(&*barrier, &local(), "wait", soon), broken);
        assert_eq!(first.join().unwrap(), broken);
        assert!(barrier.broken());
        assert_eq!(wait(&barrier, local()).join().unwrap(), broken);
        barrier.reset();
        assert!(!barrier.broken());
        let first = wait(&barrier, local());
        barrier.reset();
        assert_eq!(first.join().unwrap(), broken);
        assert!(!barrier.broken());
        let first = wait(&barrier, local());
        barrier.abort();
        assert_eq!(first.join().unwrap(), broken);
        assert!(barrier.broken());
        assert!(barrier.repr().unwrap().ends_with(": broken>"));
        barrier.reset();
        let threads = [0, 1, 2].map(|_| wait(&barrier, local()));
        let places = threads.map(|thread| thread.join().unwrap());
        assert_eq!(places, ["0", "1", "2"]);
    }

    #[test]
    fn a_client_that_leaves_while_it_waits_does_not_count() {
        let barrier = new(3);
        let (caller, client) = remote();
        let gone = wait(&barrier, caller);
        let first = wait(&barrier, local());
        drop(client);
        assert_eq!(gone.join().unwrap(), "Gone");
        assert_eq!(barrier.n_waiting(), 1);
        let second = wait(&barrier, local());
        let third = wait(&barrier, local());
        let places = [first, second, third].map(|thread| thread.join().unwrap());
        assert_eq!(places, ["0", "1", "2"]);
    }
}
