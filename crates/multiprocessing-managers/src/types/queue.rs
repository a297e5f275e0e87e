//! `Queue`: each item goes to one caller, in FIFO order.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pickle_value::{Exception, Value};

use super::line::{Line, Turn};
use super::timeout::{self, compared};
use crate::args::Args;
use crate::caller::{Caller, Gone, Receipt};
use crate::referent::{Failure, Referent, Reply};
use crate::sync::{Mutex, lock};

/// A queue: Python's `queue.Queue`, `SyncManager.Queue` and `SyncManager.JoinableQueue`.
///
/// Callers waiting to put or get are served in FIFO order. A client that disconnects while it waits neither takes nor puts
/// an item. If a client disconnects before it reads the reply, its item returns to the front of the queue and still counts
/// as not taken for `join`. CPython's server loses such items. [`Queue::on_lost`] reports items that a client was working
/// on when it disconnected.
///
/// ```
/// use multiprocessing_managers::types::Queue;
///
/// let queue = Queue::bounded(1);
/// queue.put("item".into(), None).unwrap();
/// assert_eq!(queue.get(None).unwrap().as_str(), Some("item"));
/// queue.task_done().unwrap();
/// ```
pub struct Queue {
    me: Weak<Queue>,
    /// The limit on the number of items.
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
    /// Callers waiting to put an item. Empty while there is room.
    putters: Line<(), Value>,
    joiners: Line<()>,
    /// The number of items put but not yet reported as done.
    unfinished: usize,
}

impl Queue {
    /// Creates `Queue(maxsize=0)`, without a limit unless `maxsize` is positive.
    ///
    /// # Errors
    ///
    /// `TypeError` for wrong arguments, including a `maxsize` that is not a number, which CPython detects only at the first
    /// `put`.
    pub fn new(args: Args) -> Result<Arc<Self>, Exception> {
        let [maxsize] = args.bind("Queue.__init__", [("maxsize", Some(Value::Int(0)))])?;
        let maxsize = compared(&maxsize, ">")?;
        // A NaN is not positive.
        Ok(Queue::make(
            (maxsize > 0.0).then(|| maxsize.ceil() as usize),
        ))
    }

    /// Creates a queue of at most `maxsize` items; 0 means no limit.
    pub fn bounded(maxsize: usize) -> Arc<Self> {
        Queue::make((maxsize > 0).then_some(maxsize))
    }

    /// Creates a queue without a limit.
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

    /// Puts an item from the server's own process. Blocks while the queue is full, at most for the timeout.
    ///
    /// # Errors
    ///
    /// `queue.Full` after the timeout, `OSError` if the process has no file descriptor left.
    pub fn put(&self, item: Value, timeout: Option<Duration>) -> Result<(), Exception> {
        own(|caller| self.put_in(caller, item, || Ok(timeout)))
    }

    /// Takes the oldest item from the server's own process. Blocks while the queue is empty, at most for the timeout.
    ///
    /// # Errors
    ///
    /// `queue.Empty` after the timeout, `OSError` if the process has no file descriptor left.
    pub fn get(&self, timeout: Option<Duration>) -> Result<Value, Exception> {
        own(|caller| self.get_out(caller, || Ok(timeout)))
    }

    /// Reports an item as done. Never blocks.
    ///
    /// # Errors
    ///
    /// `ValueError` if all items are done already.
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

    /// Returns an item to the front of the queue, even if the queue is full. For `join` it counts as not taken.
    pub fn put_back(&self, item: Value) {
        let mut state = lock(&self.state);
        if let Err(item) = state.getters.give(item) {
            state.items.push_front(item);
        }
    }

    /// Returns the number of items, which other callers may change at any time. Python's `qsize()`.
    pub fn len(&self) -> usize {
        lock(&self.state).items.len()
    }

    /// Returns whether the queue is empty, which other callers may change at any time. Python's `empty()`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.maxsize.is_some_and(|maxsize| maxsize <= self.len())
    }

    /// Sets `hook` to be called with each item that may be lost: an item sent to a client whose connection then ended without
    /// another request.
    ///
    /// The client may or may not have processed the item. [Put it back](Queue::put_back) if processing it twice is harmless.
    /// Without a hook such items are lost, as in CPython.
    pub fn on_lost(&self, hook: Box<dyn Fn(Value, Gone) + Send + Sync>) {
        *lock(&self.on_lost) = Some(hook.into());
    }

    /// Calls `timeout` for the time limit only if the call has to wait.
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
            // The item is in the queue, although its client gets no reply.
            Turn::Gone(_) => Err(Failure::Gone),
        }
    }

    /// Calls `timeout` for the time limit only if the call has to wait.
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

    /// Blocks until every item has been reported as done.
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

    /// Moves items of callers that wait to put them into the queue.
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
        // A queue without a limit does not check these arguments, and a timeout is checked only if it matters.
        let timeout = match (self.maxsize, block.truth()) {
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
        let timeout = match block.truth() {
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

/// Makes a call from this process.
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
        match method {
            "put" => return self.call_put(caller, args),
            "get" => return self.call_get(caller, args),
            "put_nowait" => {
                let [item] = args.bind("Queue.put_nowait", [("item", None)])?;
                let now = || Ok(Some(Duration::ZERO));
                return Ok(self.put_in(caller, item, now)?.into());
            }
            _ => args.bind(&format!("Queue.{method}"), [])?,
        };
        match method {
            "empty" => Ok(self.is_empty().into()),
            "full" => Ok(self.is_full().into()),
            "get_nowait" => self.reply(caller, || Ok(Some(Duration::ZERO))),
            "join" => Ok(self.join(caller)?.into()),
            "qsize" => Ok(self.len().into()),
            "task_done" => Ok(self.task_done()?.into()),
            _ => Err(Failure::no_method(method)),
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
        // Drop outside the lock: an item may hold the last reference to a queue, even this one.
        drop(items);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::types::trial::*;

    const NEW: Make = |args| Ok(Queue::new(args)?);

    fn get(queue: &Queue, caller: &Arc<Caller>) -> String {
        call(queue, caller, "get", Args::default())
    }

    fn put(queue: &Queue, caller: &Arc<Caller>, item: i64) -> String {
        call(queue, caller, "put", args([item.into()]))
    }

    #[test]
    fn answers_are_those_of_python() {
        let mut calls = vec![
            ("get", args([false.into(), Value::Int(-1)])),
            ("get", args([false.into(), "a".into()])),
            ("get", args([Value::Int(1), Value::Int(2), Value::Int(3)])),
            ("get", args([true.into()]).keyword("block", 1i64)),
            ("get", Args::default().keyword("x", 1i64)),
            ("get_nowait", Args::default()),
            ("get_nowait", args([Value::Int(1)])),
            ("task_done", Args::default()),
            ("task_done", args([Value::Int(1)])),
            ("qsize", Args::default()),
            ("qsize", args([Value::Int(1)])),
            ("empty", Args::default()),
            ("full", Args::default()),
            ("join", args([Value::Int(1)])),
            ("put", Args::default()),
            ("put", args([Value::Int(1), false.into()])),
            ("put", args([Value::Int(1), false.into(), "a".into()])),
            (
                "put",
                args([Value::Int(1), Value::Int(2), Value::Int(3), Value::Int(4)]),
            ),
            ("put", Args::default().keyword("x", 1i64)),
            (
                "put",
                Args::default()
                    .keyword("item", 1i64)
                    .keyword("block", false),
            ),
            ("put_nowait", Args::default()),
            ("put_nowait", args([Value::Int(1)])),
            ("put_nowait", args([Value::Int(1), Value::Int(2)])),
            ("put_nowait", Args::default().keyword("item", 1i64)),
            ("put_nowait", Args::default().keyword("x", 1i64)),
            ("put_nowait", Args::default().keyword("self", 1i64)),
        ];
        for value in strange() {
            calls.push(("get", args([true.into(), value.clone()])));
            calls.push(("get", args([false.into(), value.clone()])));
            calls.push(("put", args([Value::Int(1), true.into(), value.clone()])));
            calls.push(("put", args([Value::Int(1), false.into(), value])));
        }
        let class = "queue.Queue";
        for with in [Args::default(), args([Value::Int(1)]), args([0.5.into()])] {
            compare(NEW, class, with, &[], &calls);
        }
        let new = [
            Args::default(),
            args([Value::Int(-1)]),
            args([true.into()]),
            args([f64::NAN.into()]),
            args([Value::Int(1), Value::Int(2)]),
            Args::default().keyword("maxsize", 3i64),
            Args::default().keyword("x", 3i64),
            Args::default().keyword("self", 3i64),
        ];
        compare_new(NEW, class, &new);
    }

    #[test]
    fn a_full_queue_answers_like_python() {
        for (maxsize, fits) in [
            (Value::Int(1), 1),
            (1.5.into(), 2),
            (true.into(), 1),
            (0.5.into(), 1),
        ] {
            let queue = Queue::new(args([maxsize])).unwrap();
            let caller = local();
            for item in 0..fits {
                assert_eq!(call(&*queue, &caller, "full", Args::default()), "False");
                assert_eq!(put(&queue, &caller, item), "None");
            }
            assert_eq!(call(&*queue, &caller, "full", Args::default()), "True");
            for args in [
                args([Value::Int(9), false.into()]),
                args([Value::Int(9), true.into(), Value::Int(0)]),
                args([Value::Int(9), true.into(), 0.01.into()]),
            ] {
                assert_eq!(call(&*queue, &caller, "put", args), "queue.Full: ");
            }
            let forever = args([Value::Int(9), true.into(), f64::INFINITY.into()]);
            let refused = "builtins.OverflowError: timestamp out of range for platform time_t";
            assert_eq!(call(&*queue, &caller, "put", forever), refused);
            let forever = args([true.into(), f64::INFINITY.into()]);
            assert_eq!(call(&*queue, &caller, "get", forever), "0");
        }
    }

    #[test]
    fn those_who_wait_are_served_in_order() {
        let queue = Queue::bounded(1);
        let caller = local();
        let getters = [0, 1, 2].map(|number| {
            let getter = queue.clone();
            let thread = thread::spawn(move || get(&getter, &local()));
            until(|| lock(&queue.state).getters.len() == number + 1);
            thread
        });
        (0..3).for_each(|item| assert_eq!(put(&queue, &caller, item), "None"));
        let got = getters.map(|thread| thread.join().unwrap());
        assert_eq!(got, ["0", "1", "2"]);
        put(&queue, &caller, 3);
        let putters = [0, 1, 2].map(|number| {
            let putter = queue.clone();
            let thread = thread::spawn(move || put(&putter, &local(), 4 + number));
            until(|| lock(&queue.state).putters.len() as i64 == number + 1);
            thread
        });
        let got = [(); 4].map(|()| get(&queue, &caller));
        assert_eq!(got, ["3", "4", "5", "6"]);
        for thread in putters {
            assert_eq!(thread.join().unwrap(), "None");
        }
    }

    #[test]
    fn join_waits_for_all_that_was_put() {
        let queue = Queue::unbounded();
        let caller = local();
        assert_eq!(call(&*queue, &caller, "join", Args::default()), "None");
        (0..2).for_each(|item| drop(put(&queue, &caller, item)));
        let joiners = [(); 3].map(|()| {
            let joiner = queue.clone();
            thread::spawn(move || call(&*joiner, &local(), "join", Args::default()))
        });
        until(|| lock(&queue.state).joiners.len() == 3);
        // Unread items that come back still count as not done.
        let (gone, _client) = remote();
        assert_eq!(get(&queue, &gone), "0");
        leave(&gone, false, Gone::Killed);
        assert_eq!(get(&queue, &caller), "0");
        assert_eq!(get(&queue, &caller), "1");
        queue.task_done().unwrap();
        assert_eq!(lock(&queue.state).joiners.len(), 3);
        queue.task_done().unwrap();
        for thread in joiners {
            assert_eq!(thread.join().unwrap(), "None");
        }
        let refused = "builtins.ValueError: task_done() called too many times";
        assert_eq!(
            call(&*queue, &caller, "task_done", Args::default()),
            refused
        );
    }

    #[test]
    fn a_client_that_leaves_while_it_waits_takes_and_puts_nothing() {
        let queue = Queue::bounded(1);
        let (caller, client) = remote();
        let getter = queue.clone();
        let thread = thread::spawn(move || get(&getter, &caller));
        until(|| lock(&queue.state).getters.len() == 1);
        drop(client);
        assert_eq!(thread.join().unwrap(), "Gone");
        put(&queue, &local(), 1);
        let (caller, client) = remote();
        let putter = queue.clone();
        let thread = thread::spawn(move || put(&putter, &caller, 2));
        until(|| lock(&queue.state).putters.len() == 1);
        drop(client);
        assert_eq!(thread.join().unwrap(), "Gone");
        assert_eq!(get(&queue, &local()), "1");
        assert!(queue.is_empty());
    }

    #[test]
    fn what_was_never_read_comes_back_in_front() {
        let queue = Queue::bounded(2);
        let (caller, _client) = remote();
        (0..2).for_each(|item| drop(put(&queue, &local(), item)));
        assert_eq!(get(&queue, &caller), "0");
        put(&queue, &local(), 2);
        leave(&caller, false, Gone::Left);
        let got = [(); 3].map(|()| get(&queue, &local()));
        assert_eq!(got, ["0", "1", "2"]);
    }

    #[test]
    fn what_is_lost_can_be_heard_of() {
        let queue = Queue::unbounded();
        let (sender, lost) = mpsc::channel();
        put(&queue, &local(), 1);
        put(&queue, &local(), 2);
        let (caller, _client) = remote();
        get(&queue, &caller);
        leave(&caller, true, Gone::Killed);
        let again = Arc::downgrade(&queue);
        queue.on_lost(Box::new(move |item, how| {
            sender.send((source(&item), how)).unwrap();
            again.upgrade().unwrap().put_back(item);
        }));
        get(&queue, &caller);
        leave(&caller, true, Gone::Killed);
        assert_eq!(
            lost.try_iter().collect::<Vec<_>>(),
            [("2".to_owned(), Gone::Killed)]
        );
        assert_eq!(get(&queue, &caller), "2");
    }

    #[test]
    fn this_process_puts_and_gets_too() {
        let queue = Queue::bounded(1);
        queue.put(Value::Int(1), None).unwrap();
        let full = queue.put(Value::Int(2), Some(MOMENT)).unwrap_err();
        assert!(full.is("queue", "Full"));
        assert_eq!(source(&queue.get(None).unwrap()), "1");
        assert!(
            queue
                .get(Some(Duration::ZERO))
                .unwrap_err()
                .is("queue", "Empty")
        );
        let putter = queue.clone();
        let thread = thread::spawn(move || putter.put(Value::Int(3), None));
        assert_eq!(source(&queue.get(Some(LIMIT)).unwrap()), "3");
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn its_items_are_shown_and_let_go() {
        let queue = Queue::bounded(1);
        put(&queue, &local(), 1);
        let (caller, client) = remote();
        let putter = queue.clone();
        let thread = thread::spawn(move || put(&putter, &caller, 2));
        until(|| lock(&queue.state).putters.len() == 1);
        let mut seen = vec![];
        queue.visit(&mut |item| seen.push(source(item)));
        assert_eq!(seen, ["1", "2"]);
        drop(client);
        thread.join().unwrap();
        queue.clear();
        assert_eq!(queue.len(), 0);
    }

    /// Items go through a small queue from four threads to four; a third of the clients disconnect. Every item that was
    /// put is taken once, and `join` returns.
    #[test]
    fn no_item_is_lost_or_doubled_whoever_goes() {
        let queue = Queue::bounded(3);
        let (doom, reaper) = reaper();
        let end = Instant::now() + Duration::from_millis(1200);
        let client_of = |dice: &mut Dice, doom: &mpsc::SyncSender<_>| {
            let (caller, client) = remote();
            let doomed = dice.roll(3) == 0;
            if doomed {
                doom.send(client).unwrap();
                return (caller, None);
            }
            (caller, Some(client))
        };
        let putters = [0, 1, 2, 3].map(|number| {
            let (queue, doom) = (queue.clone(), doom.clone());
            thread::spawn(move || {
                let mut dice = Dice(number + 1);
                let (mut sure, mut perhaps) = (vec![], vec![]);
                let mut item = number as i64;
                while Instant::now() < end {
                    let (caller, client) = client_of(&mut dice, &doom);
                    item += 4;
                    let wait = args([item.into(), true.into(), 0.0003.into()]);
                    let timed = dice.roll(2) == 0;
                    let with = if timed { wait } else { args([item.into()]) };
                    match &*call(&*queue, &caller, "put", with) {
                        "None" => sure.push(item),
                        "queue.Full: " => assert!(timed),
                        other => {
                            assert_eq!((other, client.is_none()), ("Gone", true));
                            perhaps.push(item);
                        }
                    }
                }
                (sure, perhaps)
            })
        });
        let getters = [0, 1, 2, 3].map(|number| {
            let (queue, doom) = (queue.clone(), doom.clone());
            thread::spawn(move || {
                let mut dice = Dice(number + 11);
                let mut got = vec![];
                loop {
                    let (caller, client) = client_of(&mut dice, &doom);
                    let wait = args([true.into(), 0.0003.into()]);
                    match &*call(&*queue, &caller, "get", wait) {
                        // The putters wait for 300 microseconds at most, or for a getter.
                        "_queue.Empty: " if Instant::now() > end + MOMENT * 5 => return got,
                        "_queue.Empty: " => {}
                        "Gone" => assert!(client.is_none()),
                        item => match client {
                            None => leave(&caller, false, Gone::Killed),
                            Some(_) => {
                                drop(caller.receipt());
                                got.push(item.parse::<i64>().unwrap());
                                queue.task_done().unwrap();
                            }
                        },
                    }
                }
            })
        });
        let (mut sure, mut perhaps) = (vec![], vec![]);
        for thread in putters {
            let (its_sure, its_perhaps) = thread.join().unwrap();
            sure.extend(its_sure);
            perhaps.extend(its_perhaps);
        }
        let mut got: Vec<i64> = getters.map(|thread| thread.join().unwrap()).concat();
        drop(doom);
        reaper.join().unwrap();
        // The last getter may have disconnected, and its item may still be on its way back.
        while let Ok(item) = queue.get(Some(Duration::ZERO)) {
            got.push(source(&item).parse().unwrap());
            queue.task_done().unwrap();
        }
        got.sort();
        assert!(got.is_sorted_by(|a, b| a < b), "an item came twice");
        assert!(
            sure.iter().all(|item| got.binary_search(item).is_ok()),
            "an item was lost"
        );
        sure.extend(perhaps);
        assert!(
            got.iter().all(|item| sure.contains(item)),
            "an item was never put"
        );
        queue.join(&local()).unwrap();
        assert!(got.len() > 100, "only {}", got.len());
    }

    #[test]
    fn a_client_that_leaves_when_it_is_served_passes_it_on() {
        let object = Queue::unbounded();
        let (caller, client) = remote();
        let waiter = object.clone();
        let thread = thread::spawn(move || {
            get(&waiter, &caller);
            // If the caller noticed in time that it was served, no client reads the reply.
            leave(&caller, false, Gone::Left);
        });
        until(|| lock(&object.state).getters.len() == 1);
        let mut state = super::lock(&object.state);
        drop(client);
        // It has noticed that its client has disconnected, but cannot leave the line yet.
        thread::sleep(MOMENT);
        state.add(Value::Int(1));
        drop(state);
        thread.join().unwrap();
        assert_eq!(object.len(), 1);
    }
}
