//! Proxies with the methods of their types.
//!
//! Python:  `m.list()`, `m.dict()`, `m.Lock()`, ... of a `SyncManager`, and the `ListProxy`, `DictProxy`, ... that they return
//! Differs: a timeout is a [`Duration`], so it is never negative; none means for ever. `Empty` and `Full`, and a key that is
//!          not there, are results of their own and no errors. A lock is released by its [`Guard`].
//!
//! Each method is one call of the Python method named in its line, with what [`Proxy::call`] says about errors and blocking:
//! only those block whose line says so. Values go in as whatever is `Into<Value>` and come out as [`Value`];
//! `to_value` and `from_value` convert one's own types.

use std::marker::PhantomData;
use std::ops::{Bound, Deref, RangeBounds};
use std::time::{Duration, Instant};

use pickle_value::Value;

use crate::args::Args;
use crate::client::{Error, Manager, Proxy, unexpected};

/// A timeout that is longer than this (200 years) is none: Python's own limit is near.
const FOR_EVER: Duration = Duration::from_secs(200 * 365 * 24 * 3600);

macro_rules! proxies {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Proxy);

        /// The proxy is taken at its word: if the object is of another type, its methods fail.
        impl From<Proxy> for $name {
            fn from(proxy: Proxy) -> Self {
                $name(proxy)
            }
        }

        impl Deref for $name {
            type Target = Proxy;

            fn deref(&self) -> &Proxy {
                &self.0
            }
        }

        impl From<&$name> for Value {
            fn from(proxy: &$name) -> Self {
                Value::from(&proxy.0)
            }
        }
    )*};
}

proxies! {
    /// A `list`. Indices count from the end where they are negative.
    ListProxy
    /// A `dict`. Python's `==` and `hash` decide which keys are the same.
    DictProxy
    /// A `Namespace`: an object with attributes.
    NamespaceProxy
    /// A `Lock`, which nobody owns: anybody may release it.
    LockProxy
    /// An `RLock`, which the thread that acquired it owns, and may acquire again.
    RLockProxy
    /// A `Semaphore` or `BoundedSemaphore`.
    SemaphoreProxy
    /// A `Condition`.
    ConditionProxy
    /// An `Event`.
    EventProxy
    /// A `Barrier`.
    BarrierProxy
    /// A `Queue` or `JoinableQueue`, or a registered one.
    QueueProxy
    /// A `Value`. Python stores whatever it is given; the typecode is only shown.
    ValueProxy
    /// An `Array`: numbers of one type.
    ArrayProxy
    /// An iterator over a dict that others may change meanwhile.
    DictIter
}

impl Manager {
    /// `m.list(values)`
    pub fn list<V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<ListProxy, Error> {
        self.make("list", [list(values)])
    }

    /// `m.dict(pairs)`
    pub fn dict<K: Into<Value>, V: Into<Value>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<DictProxy, Error> {
        self.make("dict", [list(pairs.into_iter().map(pair))])
    }

    /// `m.Namespace()`
    pub fn namespace(&self) -> Result<NamespaceProxy, Error> {
        self.make("Namespace", [])
    }

    /// `m.Lock()`
    pub fn lock(&self) -> Result<LockProxy, Error> {
        self.make("Lock", [])
    }

    /// `m.RLock()`
    pub fn rlock(&self) -> Result<RLockProxy, Error> {
        self.make("RLock", [])
    }

    /// `m.Semaphore(value)`
    pub fn semaphore(&self, value: usize) -> Result<SemaphoreProxy, Error> {
        self.make("Semaphore", [value.into()])
    }

    /// `m.BoundedSemaphore(value)`
    pub fn bounded_semaphore(&self, value: usize) -> Result<SemaphoreProxy, Error> {
        self.make("BoundedSemaphore", [value.into()])
    }

    /// `m.Condition()`, with an RLock of its own.
    pub fn condition(&self) -> Result<ConditionProxy, Error> {
        self.make("Condition", [])
    }

    /// `m.Condition(lock)`. CPython's server takes no RLock there: `wait` raises a `RuntimeError`.
    pub fn condition_with(&self, lock: &Proxy) -> Result<ConditionProxy, Error> {
        self.make("Condition", [lock.into()])
    }

    /// `m.Event()`
    pub fn event(&self) -> Result<EventProxy, Error> {
        self.make("Event", [])
    }

    /// `m.Barrier(parties, None, timeout)`: how many wait for each other, and how long where `wait` does not say.
    pub fn barrier(
        &self,
        parties: usize,
        timeout: Option<Duration>,
    ) -> Result<BarrierProxy, Error> {
        self.make("Barrier", [parties.into(), Value::None, seconds(timeout)])
    }

    /// `m.Queue(maxsize)`; with 0 it is never full.
    pub fn queue(&self, maxsize: usize) -> Result<QueueProxy, Error> {
        self.make("Queue", [maxsize.into()])
    }

    /// `m.JoinableQueue(maxsize)`: the same as `m.Queue`.
    pub fn joinable_queue(&self, maxsize: usize) -> Result<QueueProxy, Error> {
        self.make("JoinableQueue", [maxsize.into()])
    }

    /// The queue that the server's program registered by this name: `m.get_task_queue()`.
    pub fn get_queue(&self, typeid: &str) -> Result<QueueProxy, Error> {
        self.make(typeid, [])
    }

    /// `m.Value(typecode, value)`
    pub fn value(&self, typecode: char, value: impl Into<Value>) -> Result<ValueProxy, Error> {
        self.make("Value", [typecode.to_string().into(), value.into()])
    }

    /// `m.Array(typecode, values)`; the typecode is one of `array.array`'s, such as `i` or `d`.
    pub fn array<V: Into<Value>>(
        &self,
        typecode: char,
        values: impl IntoIterator<Item = V>,
    ) -> Result<ArrayProxy, Error> {
        self.make("Array", [typecode.to_string().into(), list(values)])
    }

    fn make<P: From<Proxy>, const N: usize>(
        &self,
        typeid: &str,
        args: [Value; N],
    ) -> Result<P, Error> {
        self.create(typeid, Args::new(args)).map(P::from)
    }
}

impl ListProxy {
    /// `len(l)`
    pub fn len(&self) -> Result<usize, Error> {
        count(self, "__len__", [])
    }

    /// `not l`
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// `l[index]`; raises `IndexError`.
    pub fn get(&self, index: i64) -> Result<Value, Error> {
        ask(self, "__getitem__", [index.into()])
    }

    /// `l[index] = value`; raises `IndexError`.
    pub fn set(&self, index: i64, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "__setitem__", [index.into(), value.into()])
    }

    /// `del l[index]`; raises `IndexError`.
    pub fn delete(&self, index: i64) -> Result<(), Error> {
        tell(self, "__delitem__", [index.into()])
    }

    /// `l[start:end]`, as in Python: what is not there is left out.
    pub fn slice(&self, range: impl RangeBounds<i64>) -> Result<Vec<Value>, Error> {
        items(self, "__getitem__", [slice(range)])
    }

    /// `l[:]`
    pub fn to_vec(&self) -> Result<Vec<Value>, Error> {
        self.slice(..)
    }

    /// `value in l`
    pub fn contains(&self, value: impl Into<Value>) -> Result<bool, Error> {
        flag(self, "__contains__", [value.into()])
    }

    /// `l.append(value)`
    pub fn append(&self, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "append", [value.into()])
    }

    /// `l.extend(values)`
    pub fn extend<V: Into<Value>>(&self, values: impl IntoIterator<Item = V>) -> Result<(), Error> {
        tell(self, "extend", [list(values)])
    }

    /// `l.insert(index, value)`
    pub fn insert(&self, index: i64, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "insert", [index.into(), value.into()])
    }

    /// `l.pop()`, or `None` if there is nothing to pop.
    pub fn pop(&self) -> Result<Option<Value>, Error> {
        unless(ask(self, "pop", []), "builtins", "IndexError")
    }

    /// `l.pop(index)`; raises `IndexError`.
    pub fn pop_at(&self, index: i64) -> Result<Value, Error> {
        ask(self, "pop", [index.into()])
    }

    /// `l.remove(value)`; raises `ValueError` if it is not there.
    pub fn remove(&self, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "remove", [value.into()])
    }

    /// `l.index(value)`, or `None` if it is not there.
    pub fn index(&self, value: impl Into<Value>) -> Result<Option<usize>, Error> {
        unless(
            count(self, "index", [value.into()]),
            "builtins",
            "ValueError",
        )
    }

    /// `l.count(value)`
    pub fn count(&self, value: impl Into<Value>) -> Result<usize, Error> {
        count(self, "count", [value.into()])
    }

    /// `l.sort()`; raises `TypeError` if two cannot be compared.
    pub fn sort(&self) -> Result<(), Error> {
        tell(self, "sort", [])
    }

    /// `l.reverse()`
    pub fn reverse(&self) -> Result<(), Error> {
        tell(self, "reverse", [])
    }

    /// `for value in l`: one call for each, so that it sees what others change meanwhile.
    pub fn iter(&self) -> ListIter<'_> {
        ListIter {
            proxy: self,
            next: 0,
        }
    }
}

/// See [`ListProxy::iter`] and [`ArrayProxy::iter`].
pub struct ListIter<'a> {
    proxy: &'a Proxy,
    next: i64,
}

impl Iterator for ListIter<'_> {
    type Item = Result<Value, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = ask(self.proxy, "__getitem__", [self.next.into()]);
        self.next += 1;
        unless(item, "builtins", "IndexError").transpose()
    }
}

impl DictProxy {
    /// `len(d)`
    pub fn len(&self) -> Result<usize, Error> {
        count(self, "__len__", [])
    }

    /// `not d`
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// `d[key]`, or `None` if it is not there.
    pub fn get(&self, key: impl Into<Value>) -> Result<Option<Value>, Error> {
        let value = ask(self, "__getitem__", [key.into()]);
        unless(value, "builtins", "KeyError")
    }

    /// `d[key] = value`
    pub fn set(&self, key: impl Into<Value>, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "__setitem__", [key.into(), value.into()])
    }

    /// `del d[key]`, and whether it was there.
    pub fn remove(&self, key: impl Into<Value>) -> Result<bool, Error> {
        let done = tell(self, "__delitem__", [key.into()]);
        Ok(unless(done, "builtins", "KeyError")?.is_some())
    }

    /// `key in d`
    pub fn contains(&self, key: impl Into<Value>) -> Result<bool, Error> {
        flag(self, "__contains__", [key.into()])
    }

    /// `d.keys()`
    pub fn keys(&self) -> Result<Vec<Value>, Error> {
        items(self, "keys", [])
    }

    /// `d.values()`
    pub fn values(&self) -> Result<Vec<Value>, Error> {
        items(self, "values", [])
    }

    /// `d.items()`
    pub fn items(&self) -> Result<Vec<(Value, Value)>, Error> {
        let items = items(self, "items", [])?;
        items.iter().map(|item| unpair("items", item)).collect()
    }

    /// `d.pop(key)`, or `None` if it is not there.
    pub fn pop(&self, key: impl Into<Value>) -> Result<Option<Value>, Error> {
        unless(ask(self, "pop", [key.into()]), "builtins", "KeyError")
    }

    /// `d.popitem()`: the item that was set last, or `None` if there is none.
    pub fn popitem(&self) -> Result<Option<(Value, Value)>, Error> {
        let item = unless(ask(self, "popitem", []), "builtins", "KeyError")?;
        item.map(|item| unpair("popitem", &item)).transpose()
    }

    /// `d.setdefault(key, value)`: what is there then.
    pub fn setdefault(
        &self,
        key: impl Into<Value>,
        value: impl Into<Value>,
    ) -> Result<Value, Error> {
        ask(self, "setdefault", [key.into(), value.into()])
    }

    /// `d.update(pairs)`
    pub fn update<K: Into<Value>, V: Into<Value>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        tell(self, "update", [list(pairs.into_iter().map(pair))])
    }

    /// `d.clear()`
    pub fn clear(&self) -> Result<(), Error> {
        tell(self, "clear", [])
    }

    /// `iter(d)`: the keys, one call for each. If the size of the dict changes meanwhile, it ends with a `RuntimeError`.
    pub fn iter(&self) -> Result<DictIter, Error> {
        let iterator = ask(self, "__iter__", [])?;
        self.attach(&iterator).map(DictIter::from)
    }
}

impl Iterator for DictIter {
    type Item = Result<Value, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = ask(self, "__next__", []);
        unless(item, "builtins", "StopIteration").transpose()
    }
}

impl NamespaceProxy {
    /// `n.name`, or `None` if there is no such attribute.
    pub fn get(&self, name: &str) -> Result<Option<Value>, Error> {
        let value = ask(self, "__getattribute__", [name.into()]);
        unless(value, "builtins", "AttributeError")
    }

    /// `n.name = value`
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "__setattr__", [name.into(), value.into()])
    }

    /// `del n.name`; raises `AttributeError`.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        tell(self, "__delattr__", [name.into()])
    }
}

/// Holds a lock, and releases it when it is dropped.
///
/// It belongs to the thread that acquired the lock, as the connection does. If that connection broke meanwhile, the lock is
/// not this thread's any more (ours has been released, CPython's is held for good), and nothing is released.
#[must_use = "a guard that is dropped has released its lock"]
pub struct Guard<'a> {
    lock: &'a Proxy,
    connection: Option<u64>,
    thread: PhantomData<*const ()>,
}

impl Guard<'_> {
    fn of(lock: &Proxy) -> Result<Guard<'_>, Error> {
        tell(lock, "acquire", [])?;
        Ok(Guard {
            lock,
            connection: lock.connection(),
            thread: PhantomData,
        })
    }

    /// Releases the lock, and says so if that failed; dropping the guard does not.
    pub fn release(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.connection.take() {
            None => Ok(()),
            held if held == self.lock.connection() => tell(self.lock, "release", []),
            _ => Err(Error::Disconnected {
                what: format!("the connection that acquired {:?} is no more", self.lock),
            }),
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Who wants to know calls `release`.
        self.end().ok();
    }
}

macro_rules! lockable {
    ($($name:ident)*) => {$(
        impl $name {
            /// `with lock:`. Blocks until it is acquired.
            pub fn lock(&self) -> Result<Guard<'_>, Error> {
                Guard::of(self)
            }

            /// `lock.acquire(blocking, timeout)`, and whether it was acquired. Blocks if it is to, at most that long.
            ///
            /// A timeout without blocking raises `ValueError`.
            pub fn acquire(&self, blocking: bool, timeout: Option<Duration>) -> Result<bool, Error> {
                match seconds(timeout) {
                    Value::None => flag(self, "acquire", [blocking.into()]),
                    timeout => flag(self, "acquire", [blocking.into(), timeout]),
                }
            }

            /// `lock.release()`; raises `RuntimeError` or `ValueError` if it cannot be released.
            pub fn release(&self) -> Result<(), Error> {
                tell(self, "release", [])
            }
        }
    )*};
}

lockable! { LockProxy RLockProxy SemaphoreProxy ConditionProxy }

impl ConditionProxy {
    /// `c.wait(timeout)`, and whether somebody notified. Blocks. The lock is free meanwhile.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        flag(self, "wait", [seconds(timeout)])
    }

    /// `c.wait_for(predicate, timeout)`: what the predicate, which is called here and with the lock, said last. Blocks.
    pub fn wait_for(
        &self,
        mut predicate: impl FnMut() -> Result<bool, Error>,
        timeout: Option<Duration>,
    ) -> Result<bool, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while !predicate()? {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            self.wait(left)?;
        }
        Ok(true)
    }

    /// `c.notify(n)`: those that have waited longest.
    pub fn notify(&self, n: usize) -> Result<(), Error> {
        tell(self, "notify", [n.into()])
    }

    /// `c.notify_all()`
    pub fn notify_all(&self) -> Result<(), Error> {
        tell(self, "notify_all", [])
    }
}

impl EventProxy {
    /// `e.is_set()`
    pub fn is_set(&self) -> Result<bool, Error> {
        flag(self, "is_set", [])
    }

    /// `e.set()`
    pub fn set(&self) -> Result<(), Error> {
        tell(self, "set", [])
    }

    /// `e.clear()`
    pub fn clear(&self) -> Result<(), Error> {
        tell(self, "clear", [])
    }

    /// `e.wait(timeout)`, and whether it is set. Blocks.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        flag(self, "wait", [seconds(timeout)])
    }
}

impl BarrierProxy {
    /// `b.wait(timeout)`: the place in the order of arrival, from 0. Blocks until all have come.
    ///
    /// Raises `threading.BrokenBarrierError` if one of them gave up, or the barrier was reset or aborted.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<usize, Error> {
        count(self, "wait", [seconds(timeout)])
    }

    /// `b.parties`
    pub fn parties(&self) -> Result<usize, Error> {
        count(self, "__getattribute__", ["parties".into()])
    }

    /// `b.n_waiting`
    pub fn n_waiting(&self) -> Result<usize, Error> {
        count(self, "__getattribute__", ["n_waiting".into()])
    }

    /// `b.broken`
    pub fn broken(&self) -> Result<bool, Error> {
        flag(self, "__getattribute__", ["broken".into()])
    }

    /// `b.abort()`: it stays broken until it is reset.
    pub fn abort(&self) -> Result<(), Error> {
        tell(self, "abort", [])
    }

    /// `b.reset()`
    pub fn reset(&self) -> Result<(), Error> {
        tell(self, "reset", [])
    }
}

/// What became of an item that was to be put without waiting for ever. Python raises `queue.Full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an item for which there was no room is not in the queue"]
pub enum Put {
    Done,
    Full,
}

impl QueueProxy {
    /// `q.put(item)`. Blocks while the queue is full.
    pub fn put(&self, item: impl Into<Value>) -> Result<(), Error> {
        tell(self, "put", [item.into()])
    }

    /// `q.put_nowait(item)`
    pub fn put_nowait(&self, item: impl Into<Value>) -> Result<Put, Error> {
        put(tell(self, "put_nowait", [item.into()]))
    }

    /// `q.put(item, True, timeout)`. Blocks at most that long.
    pub fn put_timeout(&self, item: impl Into<Value>, timeout: Duration) -> Result<Put, Error> {
        let args = [item.into(), true.into(), seconds(Some(timeout))];
        put(tell(self, "put", args))
    }

    /// `q.get()`. Blocks while the queue is empty.
    pub fn get(&self) -> Result<Value, Error> {
        ask(self, "get", [])
    }

    /// `q.get_nowait()`, or `None` if the queue is empty.
    pub fn get_nowait(&self) -> Result<Option<Value>, Error> {
        unless(ask(self, "get_nowait", []), "queue", "Empty")
    }

    /// `q.get(True, timeout)`, or `None` if the queue stayed empty that long.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<Value>, Error> {
        let args = [true.into(), seconds(Some(timeout))];
        unless(ask(self, "get", args), "queue", "Empty")
    }

    /// `q.task_done()`; raises `ValueError` when it was called more often than items were put.
    pub fn task_done(&self) -> Result<(), Error> {
        tell(self, "task_done", [])
    }

    /// `q.join()`. Blocks until every item that was put is done.
    pub fn join(&self) -> Result<(), Error> {
        tell(self, "join", [])
    }

    /// `q.qsize()`
    pub fn len(&self) -> Result<usize, Error> {
        count(self, "qsize", [])
    }

    /// `q.empty()`
    pub fn is_empty(&self) -> Result<bool, Error> {
        flag(self, "empty", [])
    }

    /// `q.full()`
    pub fn is_full(&self) -> Result<bool, Error> {
        flag(self, "full", [])
    }
}

impl ValueProxy {
    /// `v.value`
    pub fn get(&self) -> Result<Value, Error> {
        ask(self, "get", [])
    }

    /// `v.value = value`
    pub fn set(&self, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "set", [value.into()])
    }
}

impl ArrayProxy {
    /// `len(a)`
    pub fn len(&self) -> Result<usize, Error> {
        count(self, "__len__", [])
    }

    /// `not a`
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// `a[index]`; raises `IndexError`.
    pub fn get(&self, index: i64) -> Result<Value, Error> {
        ask(self, "__getitem__", [index.into()])
    }

    /// `a[index] = value`; raises `IndexError`, `OverflowError` or `TypeError`.
    pub fn set(&self, index: i64, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "__setitem__", [index.into(), value.into()])
    }

    /// `a[start:end]`, a [`Value::Array`].
    pub fn slice(&self, range: impl RangeBounds<i64>) -> Result<Value, Error> {
        ask(self, "__getitem__", [slice(range)])
    }

    /// `for value in a`: one call for each.
    pub fn iter(&self) -> ListIter<'_> {
        ListIter {
            proxy: self,
            next: 0,
        }
    }
}

fn ask<const N: usize>(proxy: &Proxy, method: &str, args: [Value; N]) -> Result<Value, Error> {
    proxy.call(method, Args::new(args))
}

/// What it returns does not matter: Python's `None`, or what the client discards.
fn tell<const N: usize>(proxy: &Proxy, method: &str, args: [Value; N]) -> Result<(), Error> {
    ask(proxy, method, args).map(drop)
}

fn flag<const N: usize>(proxy: &Proxy, method: &str, args: [Value; N]) -> Result<bool, Error> {
    match ask(proxy, method, args)? {
        Value::Bool(flag) => Ok(flag),
        other => Err(unexpected(method, &other)),
    }
}

fn count<const N: usize>(proxy: &Proxy, method: &str, args: [Value; N]) -> Result<usize, Error> {
    let number = ask(proxy, method, args)?;
    let count = number.as_int().and_then(|n| usize::try_from(n).ok());
    count.ok_or_else(|| unexpected(method, &number))
}

fn items<const N: usize>(
    proxy: &Proxy,
    method: &str,
    args: [Value; N],
) -> Result<Vec<Value>, Error> {
    let value = ask(proxy, method, args)?;
    // The views of a dict come as the call of `list`.
    let called = value.called("builtins", "list");
    let list = called.as_deref().and_then(<[Value]>::first);
    match &*list.unwrap_or(&value).node() {
        Value::List(items) => Ok(items.to_vec()),
        _ => Err(unexpected(method, &value)),
    }
}

/// `None` instead of this exception.
fn unless<T>(result: Result<T, Error>, module: &str, name: &str) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.is(module, name) => Ok(None),
        result => result.map(Some),
    }
}

fn put(result: Result<(), Error>) -> Result<Put, Error> {
    Ok(match unless(result, "queue", "Full")? {
        Some(()) => Put::Done,
        None => Put::Full,
    })
}

fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    Value::list(values.into_iter().map(Into::into))
}

fn pair((key, value): (impl Into<Value>, impl Into<Value>)) -> Value {
    Value::tuple([key.into(), value.into()])
}

fn unpair(method: &str, item: &Value) -> Result<(Value, Value), Error> {
    match &*item.node() {
        Value::Tuple(pair) => match &**pair {
            [key, value] => Ok((key.clone(), value.clone())),
            _ => Err(unexpected(method, item)),
        },
        _ => Err(unexpected(method, item)),
    }
}

/// Python's `slice(start, stop)`.
fn slice(range: impl RangeBounds<i64>) -> Value {
    let start = match range.start_bound() {
        Bound::Included(start) => Value::Int(*start),
        Bound::Excluded(before) => Value::Int(before.saturating_add(1)),
        Bound::Unbounded => Value::None,
    };
    let stop = match range.end_bound() {
        // After the last item nothing ends but the list.
        Bound::Included(-1) | Bound::Unbounded => Value::None,
        Bound::Included(last) => Value::Int(last.saturating_add(1)),
        Bound::Excluded(stop) => Value::Int(*stop),
    };
    let callable = Value::global("builtins", "slice");
    Value::call(callable, [start, stop, Value::None])
}

fn seconds(timeout: Option<Duration>) -> Value {
    match timeout {
        Some(timeout) if timeout < FOR_EVER => timeout.as_secs_f64().into(),
        _ => Value::None,
    }
}
