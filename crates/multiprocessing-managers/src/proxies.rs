//! Proxies with the methods of their types, and the methods of [`Manager`] that create them.
//!
//! The first line of each method's documentation is the equivalent Python. A method makes one call, and fails as
//! [`Proxy::call`] does. A method blocks only if its documentation says so.
//!
//! A timeout is a [`Duration`]; `None` means no limit. A missing key, an empty queue and a full queue are results, not
//! errors. A [`Guard`] releases its lock. Arguments are anything that converts into a [`Value`]; with the feature `serde`,
//! `to_value` and `from_value` convert a program's own types.

use std::marker::PhantomData;
use std::ops::{Bound, Deref, RangeBounds};
use std::time::{Duration, Instant};

use pickle_value::Value;

use crate::args::Args;
use crate::client::{Error, Manager, Proxy, unexpected};

/// A timeout beyond 200 years means no limit, because Python's own limit is not much larger.
const LONGEST: Duration = Duration::from_secs(200 * 365 * 24 * 3600);

macro_rules! proxies {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Proxy);

        /// Does not check the type. The methods fail if the object is of another type.
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
    /// A proxy of a `list`. Negative indices count from the end.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let list = manager.list([3, 1, 2])?;
    /// list.sort()?;
    /// assert_eq!(list.get(-1)?, 3.into());
    /// assert_eq!(list.slice(..2)?, [1.into(), 2.into()]);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    ListProxy
    /// A proxy of a `dict`. Keys are compared as in Python.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let dict = manager.dict([("a", 1)])?;
    /// dict.set(2, "b")?;
    /// assert_eq!(dict.get(2.0)?, Some("b".into()));
    /// assert_eq!(dict.get("c")?, None);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    DictProxy
    /// A proxy of a `Namespace`, an object with attributes.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let namespace = manager.namespace()?;
    /// namespace.set("x", 1)?;
    /// assert_eq!(namespace.repr()?, "Namespace(x=1)");
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    NamespaceProxy
    /// A proxy of a `Lock`, which any thread may release.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let lock = manager.lock()?;
    /// let guard = lock.lock()?;
    /// assert!(!lock.acquire(false, None)?);
    /// guard.release()?;
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    LockProxy
    /// A proxy of an `RLock`, which the thread that holds it may acquire again.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let lock = manager.rlock()?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// inner.release()?;
    /// outer.release()?;
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    RLockProxy
    /// A proxy of a `Semaphore` or `BoundedSemaphore`.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let semaphore = manager.bounded_semaphore(1)?;
    /// assert!(semaphore.acquire(true, None)?);
    /// semaphore.release()?;
    /// assert!(semaphore.release().unwrap_err().is("builtins", "ValueError"));
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    SemaphoreProxy
    /// A proxy of a `Condition`.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let condition = manager.condition()?;
    /// let guard = condition.lock()?;
    /// condition.notify_all()?;
    /// guard.release()?;
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    ConditionProxy
    /// A proxy of an `Event`.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let event = manager.event()?;
    /// event.set()?;
    /// assert!(event.wait(None)?);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    EventProxy
    /// A proxy of a `Barrier`.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let barrier = manager.barrier(1, None)?;
    /// assert_eq!(barrier.wait(None)?, 0);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    BarrierProxy
    /// A proxy of a `Queue` or `JoinableQueue`.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let queue = manager.queue(0)?;
    /// queue.put(("job", 1))?;
    /// assert_eq!(queue.get()?, ("job", 1).into());
    /// assert_eq!(queue.get_nowait()?, None);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    QueueProxy
    /// A proxy of a `Value`. Any value may be set, as in Python; the typecode is only shown.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let value = manager.value('d', 0.5)?;
    /// value.set(1.5)?;
    /// assert_eq!(value.get()?, 1.5.into());
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    ValueProxy
    /// A proxy of an `Array`, which holds numbers of one type.
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let array = manager.array('i', [1, 2])?;
    /// array.set(0, -1)?;
    /// assert_eq!(array.repr()?, "array('i', [-1, 2])");
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
    ArrayProxy
    /// An iterator over a dict, with one call for each key. See [`DictProxy::iter`].
    ///
    /// ```
    /// # let manager = multiprocessing_managers::SyncManager::start()?;
    /// let dict = manager.dict([("a", 1)])?;
    /// let keys = dict.iter()?.collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, ["a".into()]);
    /// # Ok::<(), multiprocessing_managers::Error>(())
    /// ```
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

    /// `m.Condition()`, with its own RLock.
    pub fn condition(&self) -> Result<ConditionProxy, Error> {
        self.make("Condition", [])
    }

    /// `m.Condition(lock)`
    ///
    /// CPython's server does not support an RLock here: `wait` raises a `RuntimeError`.
    pub fn condition_with(&self, lock: &Proxy) -> Result<ConditionProxy, Error> {
        self.make("Condition", [lock.into()])
    }

    /// `m.Event()`
    pub fn event(&self) -> Result<EventProxy, Error> {
        self.make("Event", [])
    }

    /// `m.Barrier(parties, None, timeout)`
    ///
    /// The timeout applies to calls of `wait` without a timeout.
    pub fn barrier(
        &self,
        parties: usize,
        timeout: Option<Duration>,
    ) -> Result<BarrierProxy, Error> {
        self.make("Barrier", [parties.into(), Value::None, seconds(timeout)])
    }

    /// `m.Queue(maxsize)`; 0 means no limit.
    pub fn queue(&self, maxsize: usize) -> Result<QueueProxy, Error> {
        self.make("Queue", [maxsize.into()])
    }

    /// `m.JoinableQueue(maxsize)`: the same as `m.Queue`.
    pub fn joinable_queue(&self, maxsize: usize) -> Result<QueueProxy, Error> {
        self.make("JoinableQueue", [maxsize.into()])
    }

    /// `m.get_task_queue()`, for a queue that the server's program has registered under this name.
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

    /// `l[start:end]`; a part beyond the list is left out, as in Python.
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

    /// `l.pop()`, or `None` if the list is empty.
    pub fn pop(&self) -> Result<Option<Value>, Error> {
        unless(ask(self, "pop", []), "builtins", "IndexError")
    }

    /// `l.pop(index)`; raises `IndexError`.
    pub fn pop_at(&self, index: i64) -> Result<Value, Error> {
        ask(self, "pop", [index.into()])
    }

    /// `l.remove(value)`; raises `ValueError` if no item is equal.
    pub fn remove(&self, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "remove", [value.into()])
    }

    /// `l.index(value)`, or `None` if no item is equal.
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

    /// `l.sort()`; raises `TypeError` if two items cannot be compared.
    pub fn sort(&self) -> Result<(), Error> {
        tell(self, "sort", [])
    }

    /// `l.reverse()`
    pub fn reverse(&self) -> Result<(), Error> {
        tell(self, "reverse", [])
    }

    /// `for value in l`
    ///
    /// Each item is one call, so the iterator sees other clients' changes.
    pub fn iter(&self) -> ListIter<'_> {
        ListIter {
            proxy: self,
            next: 0,
        }
    }
}

/// An iterator over a list or array. See [`ListProxy::iter`] and [`ArrayProxy::iter`].
///
/// ```
/// # let manager = multiprocessing_managers::SyncManager::start()?;
/// let list = manager.list([1, 2])?;
/// let items = list.iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(items, [1.into(), 2.into()]);
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
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

    /// `d[key]`, or `None` if the key is missing.
    pub fn get(&self, key: impl Into<Value>) -> Result<Option<Value>, Error> {
        let value = ask(self, "__getitem__", [key.into()]);
        unless(value, "builtins", "KeyError")
    }

    /// `d[key] = value`
    pub fn set(&self, key: impl Into<Value>, value: impl Into<Value>) -> Result<(), Error> {
        tell(self, "__setitem__", [key.into(), value.into()])
    }

    /// `del d[key]`; returns whether the key was there.
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

    /// `d.pop(key)`, or `None` if the key is missing.
    pub fn pop(&self, key: impl Into<Value>) -> Result<Option<Value>, Error> {
        unless(ask(self, "pop", [key.into()]), "builtins", "KeyError")
    }

    /// `d.popitem()`, the newest item, or `None` if the dict is empty.
    pub fn popitem(&self) -> Result<Option<(Value, Value)>, Error> {
        let item = unless(ask(self, "popitem", []), "builtins", "KeyError")?;
        item.map(|item| unpair("popitem", &item)).transpose()
    }

    /// `d.setdefault(key, value)`; returns the value of the key afterwards.
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

    /// `iter(d)`
    ///
    /// Each key is one call. If the size of the dict changes meanwhile, the iterator raises a `RuntimeError`.
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
    /// `n.name`, or `None` if the attribute is missing.
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

/// A guard of an acquired lock, which releases the lock when it is dropped.
///
/// The guard cannot leave the thread that acquired the lock, because the connection belongs to that thread. If the
/// connection has broken, the guard does not release the lock: this crate's server has already released an RLock, and
/// CPython's server keeps it locked for good.
///
/// ```
/// # let manager = multiprocessing_managers::SyncManager::start()?;
/// let lock = manager.lock()?;
/// {
///     let _guard = lock.lock()?;
///     // This thread holds the lock.
/// }
/// lock.lock()?.release()?;
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
#[must_use = "dropping the guard releases its lock"]
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

    /// Releases the lock, and reports errors, which dropping the guard ignores.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] if the connection that acquired the lock has broken; otherwise as [`Proxy::call`].
    pub fn release(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.connection.take() {
            None => Ok(()),
            held if held == self.lock.connection() => tell(self.lock, "release", []),
            _ => Err(Error::Disconnected {
                what: format!("the connection that acquired {:?} has ended", self.lock),
            }),
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // `release` reports errors.
        self.end().ok();
    }
}

macro_rules! lockable {
    ($($name:ident)*) => {$(
        impl $name {
            /// `with lock:`
            ///
            /// Blocks until the lock is acquired.
            pub fn lock(&self) -> Result<Guard<'_>, Error> {
                Guard::of(self)
            }

            /// `lock.acquire(blocking, timeout)`; returns whether it was acquired.
            ///
            /// Blocks at most for the timeout if `blocking` is set. A timeout without blocking raises `ValueError`.
            pub fn acquire(&self, blocking: bool, timeout: Option<Duration>) -> Result<bool, Error> {
                match seconds(timeout) {
                    Value::None => flag(self, "acquire", [blocking.into()]),
                    timeout => flag(self, "acquire", [blocking.into(), timeout]),
                }
            }

            /// `lock.release()`; raises `RuntimeError` or `ValueError` if the lock is not held.
            pub fn release(&self) -> Result<(), Error> {
                tell(self, "release", [])
            }
        }
    )*};
}

lockable! { LockProxy RLockProxy SemaphoreProxy ConditionProxy }

impl ConditionProxy {
    /// `c.wait(timeout)`; returns whether there was a notification.
    ///
    /// Releases the lock, blocks, and acquires the lock again.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        flag(self, "wait", [seconds(timeout)])
    }

    /// `c.wait_for(predicate, timeout)`; returns the last result of the predicate.
    ///
    /// Blocks. The predicate is called in this process, with the lock held.
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

    /// `c.notify(n)`; wakes the threads that have waited longest.
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

    /// `e.wait(timeout)`; returns whether the event is set.
    ///
    /// Blocks until the event is set, at most for the timeout.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        flag(self, "wait", [seconds(timeout)])
    }
}

impl BarrierProxy {
    /// `b.wait(timeout)`; returns the place in the order of arrival, from 0.
    ///
    /// Blocks until all parties have arrived. Raises `threading.BrokenBarrierError` if a party timed out, or the barrier
    /// was reset or aborted.
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

    /// `b.abort()`; the barrier stays broken until it is reset.
    pub fn abort(&self) -> Result<(), Error> {
        tell(self, "abort", [])
    }

    /// `b.reset()`
    pub fn reset(&self) -> Result<(), Error> {
        tell(self, "reset", [])
    }
}

/// The result of putting an item with a time limit. Python raises `queue.Full`.
///
/// ```
/// use multiprocessing_managers::Put;
///
/// # let manager = multiprocessing_managers::SyncManager::start()?;
/// let queue = manager.queue(1)?;
/// assert_eq!(queue.put_nowait(1)?, Put::Done);
/// assert_eq!(queue.put_nowait(2)?, Put::Full);
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the queue may have been full"]
pub enum Put {
    /// The item is in the queue.
    Done,
    /// The queue was full; the item is not in it.
    Full,
}

impl QueueProxy {
    /// `q.put(item)`
    ///
    /// Blocks while the queue is full.
    pub fn put(&self, item: impl Into<Value>) -> Result<(), Error> {
        tell(self, "put", [item.into()])
    }

    /// `q.put_nowait(item)`
    pub fn put_nowait(&self, item: impl Into<Value>) -> Result<Put, Error> {
        put(tell(self, "put_nowait", [item.into()]))
    }

    /// `q.put(item, True, timeout)`
    ///
    /// Blocks while the queue is full, at most for the timeout.
    pub fn put_timeout(&self, item: impl Into<Value>, timeout: Duration) -> Result<Put, Error> {
        let args = [item.into(), true.into(), seconds(Some(timeout))];
        put(tell(self, "put", args))
    }

    /// `q.get()`
    ///
    /// Blocks while the queue is empty.
    pub fn get(&self) -> Result<Value, Error> {
        ask(self, "get", [])
    }

    /// `q.get_nowait()`, or `None` if the queue is empty.
    pub fn get_nowait(&self) -> Result<Option<Value>, Error> {
        unless(ask(self, "get_nowait", []), "queue", "Empty")
    }

    /// `q.get(True, timeout)`, or `None` if the queue stays empty.
    ///
    /// Blocks while the queue is empty, at most for the timeout.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<Value>, Error> {
        let args = [true.into(), seconds(Some(timeout))];
        unless(ask(self, "get", args), "queue", "Empty")
    }

    /// `q.task_done()`; raises `ValueError` if all items are done already.
    pub fn task_done(&self) -> Result<(), Error> {
        tell(self, "task_done", [])
    }

    /// `q.join()`
    ///
    /// Blocks until every item is done.
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

    /// `for value in a`
    ///
    /// Each item is one call.
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

/// Calls a method, and discards its result.
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
    // Python pickles a view of a dict as a call of `list`.
    let called = value.called("builtins", "list");
    let list = called.as_deref().and_then(<[Value]>::first);
    match &*list.unwrap_or(&value).node() {
        Value::List(items) => Ok(items.to_vec()),
        _ => Err(unexpected(method, &value)),
    }
}

/// Turns this exception into `None`.
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
        // After -1, the last item, comes the end of the list, which `None` stands for.
        Bound::Included(-1) | Bound::Unbounded => Value::None,
        Bound::Included(last) => Value::Int(last.saturating_add(1)),
        Bound::Excluded(stop) => Value::Int(*stop),
    };
    let callable = Value::global("builtins", "slice");
    Value::call(callable, [start, stop, Value::None])
}

fn seconds(timeout: Option<Duration>) -> Value {
    match timeout {
        Some(timeout) if timeout < LONGEST => timeout.as_secs_f64().into(),
        _ => Value::None,
    }
}
