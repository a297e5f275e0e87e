//! `Queue`: items go from clients to clients, each to one of them, in the order in which they were put.
//!
//! Python:  `queue.Queue`, `SyncManager.Queue`, `SyncManager.JoinableQueue`
//! Differs: those who wait to put or get are served in the order in which they came. A client that goes away while it waits
//!          takes no item, and one that goes before it could read its item gives it back; CPython loses both. What was
//!          lost in a client's hands can be heard of: see [`Queue::on_lost`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::super::args::Args;
use super::super::caller::{Caller, Receipt, lock};
use super::super::exception::Exception;
use super::super::referent::{Failure, Gone, Referent, Reply};
use super::super::value::Value;
use super::line::{Line, Turn};
use super::timeout::{self, compared, truth};

/// An item is either in the queue, or on its way to one client. It comes back, in front, if that goes before it has read the
/// reply; then it counts for `join` as it did.
pub struct Queue {
    me: Weak<Queue>,
    /// The greatest number of items.
    maxsize: Option<usize>,
    state: Mutex<State>,
    on_lost: Mutex<Option<Arc<OnLost>>>,
}

type OnLost = dyn Fn(Value, Gone) + Send + Sync;

#[derive(Default)]
struct State {
    items: VecDeque<Value>,
    /// Empty while there are items.
    getters: Line<Value>,
    /// Each with its item. Empty while there is room.
    putters: Line<(), Value>,
    joiners: Line<()>,
    /// Items put, and not reported as done.
    unfinished: usize,
}

impl Queue {
    /// `Queue(maxsize=0)`: of any number of items if `maxsize` is not more than zero.
    ///
    /// Errors: `TypeError`; that of a `maxsize` that is no number, which CPython only finds at the first `put`.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [maxsize] = args.bind("Queue.__init__", [("maxsize", Some(Value::Int(0)))])?;
        let maxsize = compared(&maxsize, ">")?;
        // What is not a number is not more than zero either.
        Ok(Queue::make(
            (maxsize > 0.0).then(|| maxsize.ceil() as usize),
        ))
    }

    /// A queue of at most `maxsize` items; of any number if 0.
    pub fn bounded(maxsize: usize) -> Arc<Self> {
        Queue::make((maxsize > 0).then_some(maxsize))
    }

    /// A queue of any number of items.
    pub fn unbounded() -> Arc<Self> {
        Queue::make(None)
    }

    fn make(maxsize: Option<usize>) -> Arc<Self> {
        Arc::new_cyclic(|me| Queue {
            me: me.clone(),
            maxsize,
            state: Mutex::default(),
            on_lost: Mutex::default(),
        })
    }

    /// Adds an item, from the server's own process; blocks while there is no room. No timeout is for ever.
    ///
    /// Errors: `queue.Full` if there is no room in time; `OSError` if the process can open no more files.
    pub fn put(&self, item: Value, timeout: Option<Duration>) -> Result<(), Exception> {
        own(|caller| self.put_in(caller, item, || Ok(timeout)))
    }

    /// Takes the first item, from the server's own process; blocks while there is none. No timeout is for ever.
    ///
    /// Errors: `queue.Empty` if there is no item in time; `OSError` if the process can open no more files.
    pub fn get(&self, timeout: Option<Duration>) -> Result<Value, Exception> {
        own(|caller| self.get_out(caller, || Ok(timeout)))
    }

    /// Reports that an item which was got is done. Never blocks.
    ///
    /// Errors: `ValueError` if all that were put are done already.
    pub fn task_done(&self) -> Result<(), Exception> {
        let mut state = lock(&self.state);
        let left = state.unfinished.checked_sub(1);
        let text = "task_done() called too many times";
        state.unfinished = left.ok_or_else(|| Exception::value_error(text))?;
        if state.unfinished == 0 {
            while state.joiners.give(()).is_ok() {}
        }
        Ok(())
    }

    /// Puts an item that was got back in front, however full the queue is. For `join`, it has never been taken.
    pub fn put_back(&self, item: Value) {
        let mut state = lock(&self.state);
        if let Err(item) = state.getters.give(item) {
            state.items.push_front(item);
        }
    }

    /// How many items wait; anybody may change that at once. Python's `qsize()`.
    pub fn len(&self) -> usize {
        lock(&self.state).items.len()
    }

    /// Whether no item waits; anybody may change that at once. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.maxsize.is_some_and(|maxsize| maxsize <= self.len())
    }

    /// What is called with an item that may be lost, from then on, and how: its client's connection has ended, the item had
    /// been sent to it, and no request has come since. It may be [put back](Queue::put_back), if doing it twice does no
    /// harm: the client may have done it. By default nothing happens, as in CPython.
    pub fn on_lost(&self, hook: Box<dyn Fn(Value, Gone) + Send + Sync>) {
        *lock(&self.on_lost) = Some(hook.into());
    }

    /// `timeout` says how long, if there is no room.
    fn put_in(
        &self,
        caller: &Arc<Caller>,
        item: Value,
        timeout: impl FnOnce() -> Result<Option<Duration>, Exception>,
    ) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        if self.has_room(&state) {
            state.add(item);
            return Ok(());
        }
        let timeout = timeout()?;
        let place = state.putters.join(caller, item)?;
        drop(state);
        match place
            .wait(timeout, &self.state, |state| &mut state.putters)
            .0
        {
            Turn::Given(()) => Ok(()),
            Turn::TimedOut => Err(Exception::full().into()),
            // What was put is put, though nobody hears of it.
            Turn::Gone(_) => Err(Failure::Gone),
        }
    }

    /// `timeout` says how long, if there is no item.
    fn get_out(
        &self,
        caller: &Arc<Caller>,
        timeout: impl FnOnce() -> Result<Option<Duration>, Exception>,
    ) -> Result<Value, Failure> {
        let mut state = lock(&self.state);
        if let Some(item) = state.items.pop_front() {
            self.admit(&mut state);
            return Ok(item);
        }
        let timeout = timeout()?;
        let place = state.getters.join(caller, ())?;
        drop(state);
        let (turn, state) = place.wait(timeout, &self.state, |state| &mut state.getters);
        drop(state);
        match turn {
            Turn::Given(item) => Ok(item),
            Turn::TimedOut => Err(Exception::empty().into()),
            Turn::Gone(given) => {
                given.into_iter().for_each(|item| self.put_back(item));
                Err(Failure::Gone)
            }
        }
    }

    /// Blocks until every item that was put has been reported as done.
    fn join(&self, caller: &Arc<Caller>) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        if state.unfinished == 0 {
            return Ok(());
        }
        let place = state.joiners.join(caller, ())?;
        drop(state);
        match place.wait(None, &self.state, |state| &mut state.joiners).0 {
            Turn::Gone(_) => Err(Failure::Gone),
            Turn::Given(()) | Turn::TimedOut => Ok(()),
        }
    }

    fn has_room(&self, state: &State) -> bool {
        self.maxsize
            .is_none_or(|maxsize| state.items.len() < maxsize)
    }

    /// Takes the items of those who wait to put them.
    fn admit(&self, state: &mut State) {
        while self.has_room(state) {
            let Ok((_, item)) = state.putters.give(()) else {
                return;
            };
            state.add(item);
        }
    }

    fn call_put(&self, caller: &Arc<Caller>, args: Args) -> Result<Reply, Failure> {
        let parameters = [
            ("item", None),
            ("block", Some(Value::Bool(true))),
            ("timeout", Some(Value::None)),
        ];
        let [item, block, timeout] = args.bind("Queue.put", parameters)?;
        // A queue without a limit does not look at them, nor is a timeout looked at that does not matter.
        let timeout = match (self.maxsize, truth(&block)) {
            (None, _) => f64::NAN,
            (_, false) => 0.0,
            (_, true) => timeout::queue(&timeout)?,
        };
        let timeout = || timeout::of_seconds(timeout);
        Ok(self.put_in(caller, item, timeout)?.into())
    }

    fn call_get(&self, caller: &Arc<Caller>, args: Args) -> Result<Reply, Failure> {
        let parameters = [
            ("block", Some(Value::Bool(true))),
            ("timeout", Some(Value::None)),
        ];
        let [block, timeout] = args.bind("Queue.get", parameters)?;
        let timeout = match truth(&block) {
            false => 0.0,
            true => timeout::queue(&timeout)?,
        };
        self.reply(caller, || timeout::of_seconds(timeout))
    }

    fn reply(
        &self,
        caller: &Arc<Caller>,
        timeout: impl FnOnce() -> Result<Option<Duration>, Exception>,
    ) -> Result<Reply, Failure> {
        let item = self.get_out(caller, timeout)?;
        if let Some(queue) = self.me.upgrade() {
            let item = item.clone();
            caller.handed(Box::new(Handed { queue, item }));
        }
        Ok(Reply::Value(item))
    }
}

impl State {
    fn add(&mut self, item: Value) {
        self.unfinished += 1;
        if let Err(item) = self.getters.give(item) {
            self.items.push_back(item);
        }
    }
}

/// A call from this process.
fn own<T>(call: impl FnOnce(&Arc<Caller>) -> Result<T, Failure>) -> Result<T, Exception> {
    let os_error = |text: String| Exception::new("builtins", "OSError", [Value::from(text)]);
    let caller = Caller::local();
    call(&caller).map_err(|failure| match failure {
        Failure::Raised(exception) => exception,
        other => os_error(format!("{other:?}")),
    })
}

struct Handed {
    queue: Arc<Queue>,
    item: Value,
}

impl Receipt for Handed {
    fn unread(self: Box<Self>) {
        self.queue.put_back(self.item);
    }

    fn unconfirmed(self: Box<Self>, how: Gone) {
        let hook = lock(&self.queue.on_lost).clone();
        if let Some(hook) = hook {
            hook(self.item, how);
        }
    }
}

impl Referent for Queue {
    fn typeid(&self) -> &'static str {
        "Queue"
    }

    fn exposed(&self) -> &'static [&'static str] {
        &[
            "empty",
            "full",
            "get",
            "get_nowait",
            "join",
            "put",
            "put_nowait",
            "qsize",
            "task_done",
        ]
    }

    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
        let function = format!("Queue.{method}");
        match method {
            "put" => return self.call_put(caller, args),
            "get" => return self.call_get(caller, args),
            "put_nowait" => {
                let [item] = args.bind(&function, [("item", None)])?;
                let now = || Ok(Some(Duration::ZERO));
                return Ok(self.put_in(caller, item, now)?.into());
            }
            _ => args.bind(&function, [])?,
        };
        match method {
            "empty" => Ok(self.is_empty().into()),
            "full" => Ok(self.is_full().into()),
            "get_nowait" => self.reply(caller, || Ok(Some(Duration::ZERO))),
            "join" => Ok(self.join(caller)?.into()),
            "qsize" => Ok(self.len().into()),
            "task_done" => Ok(self.task_done()?.into()),
            _ => Err(Failure::not_exposed(method, "Queue")),
        }
    }

    fn repr(&self) -> Result<String, Failure> {
        Ok(format!("<queue.Queue object at {self:p}>"))
    }

    fn value(&self) -> Result<Value, Failure> {
        Err(Failure::cannot_pickle("_thread.lock"))
    }

    fn visit(&self, see: &mut dyn FnMut(&Value)) {
        let state = lock(&self.state);
        state.items.iter().for_each(&mut *see);
        state.getters.given().for_each(&mut *see);
        state.putters.brought().for_each(&mut *see);
    }

    fn clear(&self) {
        let items = std::mem::take(&mut lock(&self.state).items);
        // Not under the lock: an item may be the last to hold a queue, even this one.
        drop(items);
    }
}
