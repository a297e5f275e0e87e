//! `Semaphore` and `BoundedSemaphore`: held by several callers at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::timeout::{self, compared, not_an_integer};
use crate::args::Args;
use crate::caller::{Caller, Gone, Receipt};
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A semaphore: Python's `threading.Semaphore` and `threading.BoundedSemaphore`, and those of `SyncManager`.
///
/// Callers are served in FIFO order, and any caller may release. The value is an `i64`; Python
/// accepts a `float` too.
///
/// The server does not release a killed client's permits of a plain semaphore, which may count signals that are never
/// released. A bounded semaphore guards a resource, so the server releases the permits of a killed client. A release
/// returns the caller's own permit first, then one of a disconnected client, then the oldest.
///
/// ```
/// use multiprocessing_managers::types::Semaphore;
/// use multiprocessing_managers::{Args, Caller, Referent};
///
/// let semaphore = Semaphore::bounded(Args::new([1.into()])).unwrap();
/// semaphore.call(&Caller::local(), "acquire", Args::default()).unwrap();
/// semaphore.call(&Caller::local(), "release", Args::default()).unwrap();
/// ```
pub struct Semaphore {
    me: Weak<Semaphore>,
    /// The initial value of a bounded semaphore.
    bound: Option<i64>,
    state: Mutex<State>,
}

struct State {
    value: i64,
    /// The holders of a bounded semaphore: the initial value minus the current value.
    shares: VecDeque<Share>,
    /// Empty while the value is positive.
    line: Line<()>,
}

struct Share {
    caller_id: u64,
    left: bool,
}

impl Semaphore {
    /// Creates `Semaphore(value=1)`.
    ///
    /// # Errors
    ///
    /// `ValueError` for a negative value, `OverflowError` for a value beyond `i64`, `TypeError` for other arguments.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let value = initial("Semaphore.__init__", args)?;
        Ok(Semaphore::make(value, None))
    }

    /// Creates `BoundedSemaphore(value=1)`.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::new`].
    pub fn bounded(args: Args) -> Result<Arc<Self>, Exception> {
        let value = initial("BoundedSemaphore.__init__", args)?;
        Ok(Semaphore::make(value, Some(value)))
    }

    fn make(value: i64, bound: Option<i64>) -> Arc<Self> {
        Arc::new_cyclic(|me| Semaphore {
            me: me.clone(),
            bound,
            state: Mutex::new(State {
                value,
                shares: VecDeque::new(),
                line: Line::default(),
            }),
        })
    }

    /// Takes a permit, and returns whether it did. Blocks while the value is zero.
    ///
    /// Fails with [`Failure::Gone`] if the client disconnects; it has taken no permit then.
    fn acquire(&self, caller: &Arc<Caller>, args: Args) -> Result<bool, Failure> {
        let parameters = [
            ("blocking", Some(Value::Bool(true))),
            ("timeout", Some(Value::None)),
        ];
        let [blocking, timeout] = args.bind("Semaphore.acquire", parameters)?;
        let blocking = blocking.truth();
        if !blocking && !matches!(timeout, Value::None) {
            let text = "can't specify timeout for non-blocking acquire";
            return Err(Exception::value_error(text).into());
        }
        let mut state = lock(&self.state);
        if state.value > 0 {
            state.value -= 1;
            self.note(&mut state, caller.id());
        } else {
            let timeout = match blocking {
                true => timeout::until(&timeout)?,
                false => Some(Duration::ZERO),
            };
            let place = state.line.join(caller, ())?;
            drop(state);
            let (turn, mut state) = place.wait(timeout, &self.state, |state| &mut state.line);
            match turn {
                Turn::Given(()) => {}
                Turn::TimedOut => return Ok(false),
                Turn::Gone(given) => {
                    if given.is_some() {
                        self.take_back(&mut state, caller.id());
                    }
                    return Err(Failure::Gone);
                }
            }
        }
        if let Some(semaphore) = self.me.upgrade() {
            if self.bound.is_some() {
                caller.holds(&semaphore);
            }
            let caller_id = caller.id();
            caller.handed(Box::new(Unread {
                semaphore,
                caller_id,
            }));
        }
        Ok(true)
    }

    fn release(&self, caller: &Caller, args: Args) -> Result<(), Exception> {
        let class = self.typeid();
        let [n] = args.bind(&format!("{class}.release"), [("n", Some(Value::Int(1)))])?;
        if compared(&n, "<")? < 1.0 {
            return Err(Exception::value_error("n must be one or more"));
        }
        let mut state = lock(&self.state);
        if let Some(bound) = self.bound {
            let room = bound - state.value;
            if compared(&n, "<")? > room as f64 {
                let text = "Semaphore released too many times";
                return Err(Exception::value_error(text));
            }
        }
        let too_large = || Exception::overflow_error("Python int too large to convert to C long");
        let n = match n {
            Value::Long(_) => return Err(too_large()),
            n => n.as_int().ok_or_else(|| not_an_integer(&n))?,
        };
        if state.value.checked_add(n).is_none() {
            return Err(too_large());
        }
        if self.bound.is_some() {
            (0..n).for_each(|_| state.remove_share(caller.id()));
        }
        self.add(&mut state, n);
        Ok(())
    }

    /// Adds to the value; waiting callers are served first.
    fn add(&self, state: &mut State, mut n: i64) {
        while n > 0 {
            let Ok((caller_id, ())) = state.line.give(()) else {
                break;
            };
            self.note(state, caller_id);
            n -= 1;
        }
        state.value = state.value.saturating_add(n);
    }

    fn note(&self, state: &mut State, caller_id: u64) {
        if self.bound.is_some() {
            let left = false;
            state.shares.push_back(Share { caller_id, left });
        }
    }

    /// Takes back a permit that was granted to the caller and never used.
    fn take_back(&self, state: &mut State, caller_id: u64) {
        if self.bound.is_some() {
            let its = |share: &Share| share.caller_id == caller_id;
            let Some(index) = state.shares.iter().rposition(its) else {
                return;
            };
            state.shares.remove(index);
        }
        self.add(state, 1);
    }
}

impl State {
    fn remove_share(&mut self, caller_id: u64) {
        let shares = &self.shares;
        let own = shares
            .iter()
            .rposition(|share| share.caller_id == caller_id);
        let index = own.or_else(|| shares.iter().position(|share| share.left));
        self.shares.remove(index.unwrap_or(0));
    }
}

struct Unread {
    semaphore: Arc<Semaphore>,
    caller_id: u64,
}

impl Receipt for Unread {
    fn unread(self: Box<Self>) {
        let mut state = lock(&self.semaphore.state);
        self.semaphore.take_back(&mut state, self.caller_id);
    }
}

impl Referent for Semaphore {
    fn typeid(&self) -> &'static str {
        match self.bound {
            None => "Semaphore",
            Some(_) => "BoundedSemaphore",
        }
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        match method {
            "acquire" => Ok(self.acquire(caller, args)?.into()),
            "release" => Ok(self.release(caller, args)?.into()),
            _ => Err(Failure::no_method(method)),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        let (class, value) = (self.typeid(), lock(&self.state).value);
        let bound = self.bound.map(|bound| format!("/{bound}"));
        let bound = bound.unwrap_or_default();
        Ok(format!(
            "<threading.{class} at {self:p}: value={value}{bound}>"
        ))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.lock"))
    }

    fn gone(&self, caller: u64, how: Gone) -> bool {
        let mut state = lock(&self.state);
        let its = |share: &Share| share.caller_id == caller;
        match how {
            Gone::Left => {
                let shares = state.shares.iter_mut();
                shares
                    .filter(|share| its(share))
                    .for_each(|share| share.left = true);
            }
            Gone::Killed => {
                let before = state.shares.len();
                state.shares.retain(|share| !its(share));
                let back = before - state.shares.len();
                self.add(&mut state, back as i64);
            }
        }
        state.shares.iter().any(its)
    }
}

fn initial(function: &str, args: Args) -> Result<i64, Exception> {
    let [value] = args.bind(function, [("value", Some(Value::Int(1)))])?;
    if compared(&value, "<")? < 0.0 {
        let text = "semaphore initial value must be >= 0";
        return Err(Exception::value_error(text));
    }
    match value {
        Value::Long(_) => Err(Exception::overflow_error(
            "Python int too large to convert to C long",
        )),
        value => value.as_int().ok_or_else(|| not_an_integer(&value)),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::types::trial::*;

    const PLAIN: Make = |args| Ok(Semaphore::new(args)?);
    const BOUNDED: Make = |args| Ok(Semaphore::bounded(args)?);

    fn new(value: i64) -> Arc<Semaphore> {
        Semaphore::new(args([value.into()])).unwrap()
    }

    fn bounded(value: i64) -> Arc<Semaphore> {
        Semaphore::bounded(args([value.into()])).unwrap()
    }

    fn value(semaphore: &Semaphore) -> i64 {
        lock(&semaphore.state).value
    }

    #[test]
    fn answers_are_those_of_python() {
        let mut acquire = vec![
            ("acquire", args([false.into()])),
            ("acquire", args([Value::None])),
            ("acquire", args([true.into(), Value::Int(0), Value::Int(0)])),
            ("acquire", args([true.into()]).keyword("blocking", 1i64)),
            ("acquire", Args::default().keyword("x", 1i64)),
            ("acquire", args([false.into(), Value::None])),
            ("acquire", args([false.into(), f64::NAN.into()])),
            ("acquire", Args::default().keyword("timeout", 0i64)),
        ];
        let mut release = vec![
            ("release", Args::default()),
            ("release", Args::default().keyword("n", 2i64)),
            ("release", Args::default().keyword("x", 2i64)),
            ("release", args([Value::Int(1), Value::Int(2)])),
            ("release", args([1.5.into()])),
            ("release", args([0.5.into()])),
            ("release", args([f64::NAN.into()])),
            ("release", args([true.into()])),
            ("release", args([Value::None])),
        ];
        let mut new = vec![
            Args::default(),
            args([true.into()]),
            args([Value::None]),
            args([Value::Int(1), Value::Int(2)]),
            Args::default().keyword("value", 3i64),
            Args::default().keyword("x", 3i64),
        ];
        for value in strange() {
            acquire.push(("acquire", args([false.into(), value.clone()])));
            acquire.push(("acquire", args([true.into(), value.clone()])));
            // Python accepts a NaN, and numbers beyond i64; with the other values it agrees.
            if !matches!(value, Value::Float(_) | Value::Long(_)) {
                new.push(args([value.clone()]));
            }
            // Python counts up to it, one by one.
            if !matches!(value, Value::Int(9_223_372_037) | Value::Long(_)) {
                release.push(("release", args([value])));
            }
        }
        for (make, class) in [
            (PLAIN, "threading.Semaphore"),
            (BOUNDED, "threading.BoundedSemaphore"),
        ] {
            compare(make, class, args([Value::Int(0)]), &[], &acquire);
            compare(make, class, Args::default(), &[], &acquire);
            compare(make, class, args([Value::Int(2)]), &["acquire"], &release);
            compare_new(make, class, &new);
        }
    }

    #[test]
    fn it_counts_and_serves_in_order() {
        let semaphore = new(0);
        let caller = local();
        let threads = (0..3).map(|number| {
            let waiter = semaphore.clone();
            let thread =
                thread::spawn(move || call(&*waiter, &local(), "acquire", Args::default()));
            until(|| lock(&semaphore.state).line.len() == number + 1);
            thread
        });
        let threads: Vec<_> = threads.collect();
        assert_eq!(
            call(&*semaphore, &caller, "release", args([Value::Int(2)])),
            "None"
        );
        until(|| threads.iter().filter(|thread| thread.is_finished()).count() == 2);
        assert!(!threads[2].is_finished());
        assert_eq!(value(&semaphore), 0);
        assert_eq!(
            call(&*semaphore, &caller, "release", args([Value::Int(3)])),
            "None"
        );
        for thread in threads {
            assert_eq!(thread.join().unwrap(), "True");
        }
        assert_eq!(value(&semaphore), 2);
        let shown = semaphore.repr().unwrap();
        assert!(shown.starts_with("<threading.Semaphore at 0x") && shown.ends_with(": value=2>"));
    }

    #[test]
    fn a_client_that_leaves_while_it_waits_takes_nothing() {
        for semaphore in [new(0), Semaphore::make(0, Some(1))] {
            let (caller, client) = remote();
            let waiter = semaphore.clone();
            let thread = thread::spawn(move || call(&*waiter, &caller, "acquire", Args::default()));
            until(|| lock(&semaphore.state).line.len() == 1);
            drop(client);
            assert_eq!(thread.join().unwrap(), "Gone");
            let state = lock(&semaphore.state);
            assert_eq!((state.line.len(), state.value), (0, 0));
        }
    }

    #[test]
    fn what_the_killed_had_comes_back_if_it_is_bounded() {
        for (semaphore, left) in [(new(3), 1), (bounded(3), 3)] {
            let (killed, client) = remote();
            (0..2).for_each(|_| drop(call(&*semaphore, &killed, "acquire", Args::default())));
            drop(client);
            leave(&killed, true, Gone::Killed);
            assert_eq!(value(&semaphore), left);
            let (caller, _client) = remote();
            call(&*semaphore, &caller, "acquire", Args::default());
            leave(&caller, false, Gone::Left);
            assert_eq!(value(&semaphore), left);
        }
    }

    #[test]
    fn what_others_have_released_does_not_come_back_twice() {
        let semaphore = bounded(2);
        let (child, parent) = (local(), local());
        (0..2).for_each(|_| drop(call(&*semaphore, &child, "acquire", Args::default())));
        leave(&child, true, Gone::Left);
        assert_eq!(value(&semaphore), 0);
        assert_eq!(
            call(&*semaphore, &parent, "release", Args::default()),
            "None"
        );
        semaphore.gone(child.id(), Gone::Killed);
        assert_eq!(value(&semaphore), 2);
        assert_eq!(lock(&semaphore.state).shares.len(), 0);
    }

    #[test]
    fn no_more_are_inside_whoever_goes() {
        exclude(new(3), 3);
        exclude(bounded(2), 2);
    }

    #[test]
    fn a_client_that_leaves_when_it_is_served_passes_it_on() {
        let object = Semaphore::make(0, Some(1));
        let (caller, client) = remote();
        let waiter = object.clone();
        let thread = thread::spawn(move || {
            call(&*waiter, &caller, "acquire", Args::default());
            // If the caller noticed in time that it was served, no client reads the reply.
            leave(&caller, false, Gone::Left);
        });
        until(|| lock(&object.state).line.len() == 1);
        let mut state = super::lock(&object.state);
        drop(client);
        // It has noticed that its client has disconnected, but cannot leave the line yet.
        thread::sleep(MOMENT);
        object.add(&mut state, 1);
        drop(state);
        thread.join().unwrap();
        assert_eq!(value(&object), 1);
    }
}
