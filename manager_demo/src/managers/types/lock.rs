//! `Lock`: held by one at a time.
//!
//! Python:  `threading.Lock`, `SyncManager.Lock`
//! Differs: those who wait get it in the order in which they came. A client that goes away while it waits takes nothing,
//!          and a lock whose owner was killed is released; CPython's stays locked for ever in both cases.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::super::args::Args;
use super::super::caller::{Caller, Receipt, lock};
use super::super::exception::Exception;
use super::super::referent::{Failure, Gone, Referent, Reply};
use super::super::value::Value;
use super::line::{Line, Turn};
use super::timeout;

/// Anybody may release it, not only who acquired it.
///
/// When the connection of who acquired it ends, it stays locked: a program may acquire it in a child and release it in
/// the parent, as CPython's own tests do. When the client's process was killed, it is released, unless somebody did that
/// before. A client that went before it could read that it had it has not had it.
pub struct Lock {
    me: Weak<Lock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who acquired it, if it is locked.
    owner: Option<u64>,
    /// Empty while it is not locked.
    line: Line<()>,
}

impl Lock {
    /// `Lock()`. Errors: `TypeError` for any argument.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        no_arguments("_thread.allocate_lock", &args)?;
        Ok(Arc::new_cyclic(|me| Lock {
            me: me.clone(),
            state: Mutex::default(),
        }))
    }

    /// Blocks until it is the caller's, and returns whether it is; `None` is for ever, zero does not block.
    ///
    /// Errors: [`Failure::Gone`]; then it is not.
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

    /// Errors: `RuntimeError` if it is not locked.
    pub fn release(&self) -> Result<(), Exception> {
        let mut state = lock(&self.state);
        if state.owner.is_none() {
            return Err(Exception::runtime_error("release unlocked lock"));
        }
        state.pass();
        Ok(())
    }

    pub fn locked(&self) -> bool {
        lock(&self.state).owner.is_some()
    }

    /// Releases it if it is still as that caller acquired it.
    pub(super) fn take_back(&self, caller_id: u64) {
        let mut state = lock(&self.state);
        if state.owner == Some(caller_id) {
            state.pass();
        }
    }
}

impl State {
    /// To the next.
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
            _ => Err(Failure::not_exposed(method, "Lock")),
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

/// What a function of C without parameters says of arguments.
pub(super) fn no_arguments(function: &str, args: &Args) -> Result<(), Exception> {
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
