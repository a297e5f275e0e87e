//! `Semaphore` and `BoundedSemaphore`: held by several at a time.
//!
//! Python:  `threading.Semaphore`, `threading.BoundedSemaphore`, and `SyncManager`'s
//! Differs: those who wait are served in the order in which they came, and a client that goes away while it waits takes
//!          nothing. The value is an integer of 64 bits; Python counts on with a `float` too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::super::args::Args;
use super::super::caller::{Caller, Receipt, lock};
use super::super::exception::Exception;
use super::super::referent::{Failure, Gone, Referent, Reply};
use super::super::value::Value;
use super::line::{Line, Turn};
use super::timeout::{self, compared, not_an_integer, truth};

/// Anybody may release it.
///
/// What a killed client has acquired of a `Semaphore` is gone: it may count anything, such as signals, and who acquires
/// need not release. A `BoundedSemaphore` guards a resource, so it gets back what was acquired by a client that was killed
/// and has not been released. Who releases gives back its own share first, then one of a client that has left, then the
/// oldest.
pub struct Semaphore {
    me: Weak<Semaphore>,
    /// The initial value, if it is bounded.
    bound: Option<i64>,
    state: Mutex<State>,
}

struct State {
    value: i64,
    /// Who has what is not there, if it is bounded: as many as are missing in the value.
    shares: VecDeque<Share>,
    /// Empty while the value is more than zero.
    line: Line<()>,
}

struct Share {
    caller_id: u64,
    left: bool,
}

impl Semaphore {
    /// `Semaphore(value=1)`. Errors: `ValueError` if it is negative, `TypeError`; `OverflowError` if it is no `i64`.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let value = initial("Semaphore.__init__", args)?;
        Ok(Semaphore::make(value, None))
    }

    /// `BoundedSemaphore(value=1)`. Errors: as [`Semaphore::new`].
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

    /// Blocks until it is more than zero, takes one, and returns whether it did; `None` is for ever, zero does not block.
    ///
    /// Errors: [`Failure::Gone`]; then nothing was taken.
    fn acquire(&self, caller: &Arc<Caller>, args: Args) -> Result<bool, Failure> {
        let parameters = [
            ("blocking", Some(Value::Bool(true))),
            ("timeout", Some(Value::None)),
        ];
        let [blocking, timeout] = args.bind("Semaphore.acquire", parameters)?;
        let blocking = truth(&blocking);
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

    /// Gives to those who wait first.
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

    /// One that the caller was given and never had.
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
            _ => Err(Failure::not_exposed(method, self.typeid())),
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
