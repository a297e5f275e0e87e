//! Referents: the objects that a server holds, whose methods are called by name.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use pickle_value::{Exception, Value};

use crate::args::Args;
use crate::caller::{Caller, Gone, Hold};

/// An object that clients call through proxies, from many threads at once.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicI64, Ordering};
///
/// use multiprocessing_managers::{Args, Caller, Failure, Referent, Registry, Reply, Value};
///
/// struct Counter(AtomicI64);
///
/// impl Referent for Counter {
///     fn typeid(&self) -> &'static str {
///         "Counter"
///     }
///
///     fn exposed(&self) -> &'static [&'static str] {
///         &["next"]
///     }
///
///     fn call(&self, _: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure> {
///         match method {
///             "next" => {
///                 args.none("next")?;
///                 Ok(self.0.fetch_add(1, Ordering::Relaxed).into())
///             }
///             _ => Err(Failure::no_method(method)),
///         }
///     }
///
///     fn repr(&self) -> Result<String, Failure> {
///         Ok(format!("<counter at {}>", self.0.load(Ordering::Relaxed)))
///     }
///
///     fn value(&self) -> Result<Value, Failure> {
///         Ok(self.0.load(Ordering::Relaxed).into())
///     }
/// }
///
/// let mut registry = Registry::sync_manager();
/// registry.register("Counter", |_| Ok(Arc::new(Counter(AtomicI64::new(0)))));
/// ```
pub trait Referent: Any + Send + Sync {
    /// Returns the name of the type, such as `list`, for objects that a method returns.
    fn typeid(&self) -> &'static str;

    /// Returns the methods that clients may call.
    fn exposed(&self) -> &'static [&'static str];

    /// Calls a method, one of [`Referent::exposed`]. Block only in [`Caller::wait`], which ends when the client goes away or
    /// the server stops.
    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure>;

    /// Returns Python's `repr`.
    fn repr(&self) -> Result<String, Failure>;

    /// Returns Python's `str`; by default the `repr`.
    fn str(&self) -> Result<String, Failure> {
        self.repr()
    }

    /// Returns a copy of the object itself, for `proxy._getvalue()`.
    fn value(&self) -> Result<Value, Failure>;

    /// Returns the items that Python's `iter(proxy)` yields, if the object is iterable.
    fn elements(&self) -> Option<Vec<Value>> {
        None
    }

    /// Returns the keys and values, if the object is a mapping.
    fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// Calls `see` with each value that the object holds. An object that stores values must implement this and
    /// [`Referent::clear`], or circles through it are never freed.
    fn visit(&self, _see: &mut dyn FnMut(&Value)) {}

    /// Drops all values that the object holds. The server calls this for an object that only circles of references reach.
    fn clear(&self) {}

    /// Handles the end of a caller for which [`Caller::holds`] was called with this object. See [`Hold::gone`].
    fn gone(&self, _caller: u64, _how: Gone) -> bool {
        false
    }
}

impl<T: Referent> Hold for T {
    fn gone(&self, caller: u64, how: Gone) -> bool {
        Referent::gone(self, caller, how)
    }
}

/// The object that a proxy stands for, as a server puts it into [`Proxy::keep`](pickle_value::Proxy::keep).
///
/// ```
/// use multiprocessing_managers::types::List;
/// use multiprocessing_managers::{Args, Kept};
///
/// let kept = Kept::new(List::new(Args::default()).unwrap());
/// assert_eq!(kept.object().unwrap().typeid(), "list");
/// ```
pub struct Kept(Option<Arc<dyn Referent>>);

impl Kept {
    /// Keeps the object.
    pub fn new(object: Arc<dyn Referent>) -> Self {
        Kept(Some(object))
    }

    /// Returns the object. It is `None` only while the value is being dropped.
    pub fn object(&self) -> Option<&Arc<dyn Referent>> {
        self.0.as_ref()
    }
}

thread_local! {
    /// While this thread drops an object: the objects to which that one referred.
    static LEFT: RefCell<Option<Vec<Arc<dyn Referent>>>> = const { RefCell::new(None) };
}

/// Lists in lists may be nested deeply, so no object is dropped inside the drop of another.
impl Drop for Kept {
    fn drop(&mut self) {
        let mut object = self.0.take();
        // Thread-locals may already be destroyed when a thread ends.
        let first = LEFT.try_with(|left| match &mut *left.borrow_mut() {
            Some(left) => {
                left.extend(object.take());
                false
            }
            none => {
                *none = Some(vec![]);
                true
            }
        });
        drop(object);
        if first.is_ok_and(|first| first) {
            while let Some(object) = LEFT.with_borrow_mut(|left| left.as_mut().and_then(Vec::pop)) {
                drop(object);
            }
            LEFT.set(None);
        }
    }
}

/// Returns the object that a value stands for, if the value is a proxy of an object of this server.
pub fn referent(value: &Value) -> Option<Arc<dyn Referent>> {
    let Value::Proxy(proxy) = &*value.node() else {
        return None;
    };
    let kept = proxy.keep.as_ref()?.downcast_ref::<Kept>()?;
    kept.object().cloned()
}

/// The result of a method.
///
/// ```
/// use multiprocessing_managers::Reply;
///
/// assert!(matches!(Reply::from(1), Reply::Value(_)));
/// ```
pub enum Reply {
    /// A value.
    Value(Value),
    /// A new object, of which the client gets a proxy. The name of its type is [`Referent::typeid`].
    Object(Arc<dyn Referent>),
}

/// The reason why a method has no result.
///
/// ```
/// use multiprocessing_managers::{Exception, Failure};
///
/// let failure = Failure::from(Exception::value_error("n must be one or more"));
/// assert!(matches!(failure, Failure::Raised(_)));
/// ```
#[derive(Debug)]
pub enum Failure {
    /// The method raised.
    Raised(Exception),
    /// Something around the method failed; the client gets a `RemoteError` with this text.
    Traceback(String),
    /// The result cannot be pickled; the client gets a `RemoteError` with this text.
    Unserializable(String),
    /// The caller has gone away, or the server stops: there is no client to reply to.
    Gone,
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        Failure::Raised(exception)
    }
}

impl<T: Into<Value>> From<T> for Reply {
    fn from(value: T) -> Self {
        Reply::Value(value.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Raised(Exception::new(
            "builtins",
            "OSError",
            [error.to_string().into()],
        ))
    }
}

impl Failure {
    /// Returns CPython's failure for a result that cannot be pickled, such as a lock.
    pub fn cannot_pickle(what: &str) -> Self {
        Failure::Unserializable(format!("TypeError: cannot pickle '{what}' object"))
    }

    /// Returns CPython's failure for an unknown method, which it looks up among the few that every object has.
    pub fn no_method(method: &str) -> Self {
        Failure::Traceback(Exception::key_error(method.into()).to_string())
    }
}
