//! `RLock`: a lock that its holder may acquire again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::lock::no_arguments;
use super::timeout;
use crate::args::Args;
use crate::caller::{Caller, Gone};
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A recursive lock: Python's `threading.RLock` and `SyncManager.RLock`.
///
/// Its owner is a connection, that is, a thread of a client. Only the owner can release it, as often as it acquired it, so
/// the server releases it when the connection ends. (In CPython it then belongs to the next server thread with the same
/// number.) Callers get the lock in FIFO order.
///
/// ```
/// use multiprocessing_managers::types::RLock;
/// use multiprocessing_managers::{Args, Caller};
///
/// let (lock, caller) = (RLock::new(Args::default()).unwrap(), Caller::local());
/// assert!(lock.acquire(&caller, None).unwrap() && lock.acquire(&caller, None).unwrap());
/// lock.release(&caller).unwrap();
/// assert!(lock.is_owned(&caller));
/// ```
pub struct RLock {
    me: Weak<RLock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The owner's [`Caller::id`], or 0.
    owner: u64,
    /// The number of times that the owner has acquired it.
    depth: usize,
    /// Waiting callers, each with the depth that it will own. Empty while the lock has no owner.
    line: Line<(), usize>,
}

impl RLock {
    /// Creates `RLock()`. Like CPython, it ignores arguments, so it never fails.
    pub fn new(_args: Args) -> Result<Arc<Self>, Exception> {
        Ok(Arc::new_cyclic(|me| RLock {
            me: me.clone(),
            state: Mutex::default(),
        }))
    }

    /// Acquires the lock once more, and returns whether it did. Blocks while another caller owns it, at most for the
    /// timeout; a timeout of zero does not block.
    ///
    /// # Errors
    ///
    /// [`Failure::Gone`] if the client disconnects; it does not own the lock then.
    pub fn acquire(
        &self,
        caller: &Arc<Caller>,
        timeout: Option<Duration>,
    ) -> Result<bool, Failure> {
        let mut state = lock(&self.state);
        if state.owner == caller.id() {
            state.depth += 1;
            return Ok(true);
        }
        drop(state);
        self.enter(caller, 1, timeout)
    }

    /// Releases the lock once.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if the caller does not own the lock.
    pub fn release(&self, caller: &Caller) -> Result<(), Exception> {
        let mut state = lock(&self.state);
        if state.owner != caller.id() {
            return Err(Exception::runtime_error("cannot release un-acquired lock"));
        }
        state.depth -= 1;
        if state.depth == 0 {
            state.pass();
        }
        Ok(())
    }

    /// Returns whether the caller owns the lock.
    pub fn is_owned(&self, caller: &Caller) -> bool {
        lock(&self.state).owner == caller.id()
    }

    /// Releases the lock completely, and returns how often it was acquired, for [`RLock::enter`]; 0 if the caller does not
    /// own it.
    pub(crate) fn leave(&self, caller_id: u64) -> usize {
        let mut state = lock(&self.state);
        if state.owner != caller_id {
            return 0;
        }
        let depth = state.depth;
        state.pass();
        depth
    }

    /// Acquires the lock `depth` times. The caller must not own it yet.
    pub(crate) fn enter(
        &self,
        caller: &Arc<Caller>,
        depth: usize,
        timeout: Option<Duration>,
    ) -> Result<bool, Failure> {
        let mut state = lock(&self.state);
        if state.owner == 0 {
            (state.owner, state.depth) = (caller.id(), depth);
        } else {
            let place = state.line.join(caller, depth)?;
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
        }
        Ok(true)
    }
}

impl State {
    /// Passes the lock to the next caller.
    fn pass(&mut self) {
        (self.owner, self.depth) = self.line.give(()).unwrap_or_default();
    }
}

impl Referent for RLock {
    fn typeid(&self) -> &'static str {
        "RLock"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        match method {
            "acquire" => Ok(self.acquire(caller, timeout::acquire(args)?)?.into()),
            "release" => {
                no_arguments("RLock.release", &args)?;
                Ok(self.release(caller)?.into())
            }
            _ => Err(Failure::no_method(method)),
        }
    }

    /// Shows the number of the owner's connection; CPython shows a thread.
    fn repr(&self) -> Result<String, Failure> {
        let state = lock(&self.state);
        let locked = if state.owner == 0 {
            "unlocked"
        } else {
            "locked"
        };
        let (owner, depth) = (state.owner, state.depth);
        Ok(format!(
            "<{locked} _thread.RLock object owner={owner} count={depth} at {self:p}>"
        ))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.RLock"))
    }

    fn gone(&self, caller: u64, _how: Gone) -> bool {
        self.leave(caller);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::types::trial::*;

    fn new() -> Arc<RLock> {
        RLock::new(Args::default()).unwrap()
    }

    #[test]
    fn the_owner_acquires_it_again_and_nobody_else() {
        let lock = new();
        let (owner, other) = (local(), local());
        for _ in 0..3 {
            assert_eq!(call(&*lock, &owner, "acquire", Args::default()), "True");
        }
        assert_eq!(
            call(&*lock, &other, "acquire", args([false.into()])),
            "False"
        );
        let refused = "builtins.RuntimeError: cannot release un-acquired lock";
        assert_eq!(call(&*lock, &other, "release", Args::default()), refused);
        assert!(lock.repr().unwrap().contains("count=3 at 0x"));
        for _ in 0..3 {
            assert_eq!(call(&*lock, &owner, "release", Args::default()), "None");
        }
        assert_eq!(call(&*lock, &owner, "release", Args::default()), refused);
        let shown = lock.repr().unwrap();
        assert!(
            shown.starts_with("<unlocked _thread.RLock object owner=0 count=0 at 0x"),
            "{shown}"
        );
    }

    #[test]
    fn it_is_released_when_its_owner_has_gone_however_deep() {
        for how in [Gone::Left, Gone::Killed] {
            let lock = new();
            let (caller, _client) = remote();
            (0..5).for_each(|_| assert!(lock.acquire(&caller, None).unwrap()));
            let next = lock.clone();
            let thread = thread::spawn(move || {
                let caller = local();
                next.acquire(&caller, Some(LIMIT)).unwrap() && next.release(&caller).is_ok()
            });
            until(|| super::lock(&lock.state).line.len() == 1);
            leave(&caller, true, how);
            assert!(thread.join().unwrap());
        }
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
        until(|| super::lock(&object.state).line.len() == 1);
        let mut state = super::lock(&object.state);
        drop(client);
        // It has noticed that its client has disconnected, but cannot leave the line yet.
        thread::sleep(MOMENT);
        state.pass();
        drop(state);
        thread.join().unwrap();
        assert_eq!(super::lock(&object.state).owner, 0);
    }
}
