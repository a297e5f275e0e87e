//! What a server holds: objects whose methods are called by name.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use pickle_value::{Exception, Value};

use crate::args::Args;
use crate::caller::{Caller, Gone, Hold};

/// An object that clients call through proxies. Calls come from many threads at once. An `Arc` of one is also an
/// `Arc<dyn Any + Send + Sync>`, for who has to know its type.
pub trait Referent: Any + Send + Sync {
    /// What it is registered as if nothing else is said, such as `list`.
    fn typeid(&self) -> &'static str;

    /// The methods that clients may call.
    fn exposed(&self) -> &'static [&'static str];

    /// Calls a method, one of [`Referent::exposed`]. It may block, in [`Caller::wait`] and nowhere else.
    fn call(&self, caller: &Arc<Caller>, method: &str, args: Args) -> Result<Reply, Failure>;

    /// Python's `repr`.
    fn repr(&self) -> Result<String, Failure>;

    /// Python's `str`.
    fn str(&self) -> Result<String, Failure> {
        self.repr()
    }

    /// The object itself, as a copy: `proxy._getvalue()`.
    fn value(&self) -> Result<Value, Failure>;

    /// What Python gets by iterating over a proxy of it, as it is now, if that is possible.
    fn elements(&self) -> Option<Vec<Value>> {
        None
    }

    /// The keys and values, if it is a mapping.
    fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// Shows the values that it holds to whoever looks for references among them.
    fn visit(&self, _see: &mut dyn FnMut(&Value)) {}

    /// Lets go of all values that it holds: nobody can reach it any more, but itself, in a circle.
    fn clear(&self) {}

    /// A caller that called [`Caller::holds`] with this object has gone. Returns whether it still holds something, that
    /// only the death of its process gives back.
    fn gone(&self, _caller: u64, _how: Gone) -> bool {
        false
    }
}

impl<T: Referent> Hold for T {
    fn gone(&self, caller: u64, how: Gone) -> bool {
        Referent::gone(self, caller, how)
    }
}

/// What a server puts into [`Proxy::keep`](pickle_value::Proxy::keep): the object that the proxy stands for.
pub struct Kept(Option<Arc<dyn Referent>>);

impl Kept {
    pub fn new(object: Arc<dyn Referent>) -> Self {
        Kept(Some(object))
    }

    pub fn object(&self) -> Option<&Arc<dyn Referent>> {
        self.0.as_ref()
    }
}

thread_local! {
    /// While this thread lets go of an object: those to which that referred.
    static LEFT: RefCell<Option<Vec<Arc<dyn Referent>>>> = const { RefCell::new(None) };
}

/// A list in a list in a list may be long: so none is dropped inside of another.
impl Drop for Kept {
    fn drop(&mut self) {
        let mut object = self.0.take();
        // In a thread that ends there is no pile any more.
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

/// The object of this server that a proxy stands for, if the value is one of those.
pub fn referent(value: &Value) -> Option<Arc<dyn Referent>> {
    let Value::Proxy(proxy) = &*value.node() else {
        return None;
    };
    let kept = proxy.keep.as_ref()?.downcast_ref::<Kept>()?;
    kept.object().cloned()
}

/// What a method returns.
pub enum Reply {
    Value(Value),
    /// A new object, of which the client gets a proxy. The type's name is [`Referent::typeid`].
    Object(Arc<dyn Referent>),
}

/// Why a method returns nothing.
#[derive(Debug)]
pub enum Failure {
    /// The method raised.
    Raised(Exception),
    /// Something around the method failed. The text is for people.
    Traceback(String),
    /// The result cannot be sent. The text is for people.
    Unserializable(String),
    /// The caller has gone, or the server stops: nobody waits for a reply.
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
    /// What CPython says when a result cannot be pickled, such as a lock.
    pub fn cannot_pickle(what: &str) -> Self {
        Failure::Unserializable(format!("TypeError: cannot pickle '{what}' object"))
    }

    /// What CPython says of a method that there is not: it looks it up among the few that every object has.
    pub fn no_method(method: &str) -> Self {
        Failure::Traceback(Exception::key_error(method.into()).to_string())
    }
}
