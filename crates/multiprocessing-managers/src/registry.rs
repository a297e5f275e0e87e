//! The registry of the types that a server makes for its clients.

use std::collections::HashMap;
use std::sync::Arc;

use pickle_value::Exception;

use crate::args::Args;
use crate::referent::Referent;
use crate::types::{
    Barrier, Condition, Dict, Event, List, Lock, Namespace, Queue, RLock, Semaphore, SharedArray,
    SharedValue,
};

type Make = dyn Fn(Args) -> Result<Arc<dyn Referent>, Exception> + Send + Sync;

/// The types of a server, by name: Python's `BaseManager.register`.
///
/// ```
/// use multiprocessing_managers::types::Queue;
/// use multiprocessing_managers::{Args, Registry};
///
/// let queue = Queue::unbounded();
/// let mut registry = Registry::new();
/// registry.register("get_queue", move |_| Ok(queue.clone())); // one queue for all clients
/// assert_eq!(registry.make("get_queue", Args::default()).unwrap().typeid(), "Queue");
/// assert!(registry.make("list", Args::default()).is_err());
/// ```
#[derive(Clone, Default)]
pub struct Registry(HashMap<Arc<str>, Arc<Make>>);

impl Registry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Creates a registry of the types of a `SyncManager`; `JoinableQueue` is another name of `Queue`.
    pub fn sync_manager() -> Self {
        let mut types = Registry::new();
        types
            .register("list", |args| Ok(List::new(args)?))
            .register("dict", |args| Ok(Dict::new(args)?))
            .register("Namespace", |args| Ok(Namespace::new(args)?))
            .register("Value", |args| Ok(SharedValue::new(args)?))
            .register("Array", |args| Ok(SharedArray::new(args)?))
            .register("Queue", |args| Ok(Queue::new(args)?))
            .register("JoinableQueue", |args| Ok(Queue::new(args)?))
            .register("Lock", |args| Ok(Lock::new(args)?))
            .register("RLock", |args| Ok(RLock::new(args)?))
            .register("Semaphore", |args| Ok(Semaphore::new(args)?))
            .register("BoundedSemaphore", |args| Ok(Semaphore::bounded(args)?))
            .register("Condition", |args| Ok(Condition::new(args)?))
            .register("Event", |args| Ok(Event::new(args)?))
            .register("Barrier", |args| Ok(Barrier::new(args)?));
        types
    }

    /// Registers a type. A client that asks for `name` gets a proxy of the object that `make` returns.
    ///
    /// `make` may return a new object each time, or the same one for all clients. Its exceptions reach the client as a
    /// `RemoteError`.
    pub fn register<F>(&mut self, name: &str, make: F) -> &mut Self
    where
        F: Fn(Args) -> Result<Arc<dyn Referent>, Exception> + Send + Sync + 'static,
    {
        self.0.insert(name.into(), Arc::new(make));
        self
    }

    /// Creates an object of a registered type.
    ///
    /// # Errors
    ///
    /// `KeyError` for an unknown name, and the exceptions of the constructor.
    pub fn make(&self, name: &str, args: Args) -> Result<Arc<dyn Referent>, Exception> {
        match self.0.get(name) {
            Some(make) => make(args),
            None => {
                let mut names: Vec<&str> = self.0.keys().map(|name| &**name).collect();
                names.sort_unstable();
                let text = format!(
                    "no type is registered as `{name}`; registered are: {}",
                    names.join(", ")
                );
                Err(Exception::key_error(text.into()))
            }
        }
    }
}
