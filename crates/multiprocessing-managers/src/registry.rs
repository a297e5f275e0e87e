//! What a server can make for its clients: names and constructors.

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
#[derive(Clone, Default)]
pub struct Registry(HashMap<Arc<str>, Arc<Make>>);

impl Registry {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Registry::default()
    }

    /// The thirteen types of a `SyncManager`; `JoinableQueue` is another name of `Queue`.
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

    /// Clients may call for `name`. What `make` returns is entered under a reference count; if it is an object that is
    /// there already, such as the one queue that all clients share, they all get that one.
    ///
    /// An exception of `make` reaches the client as a `RemoteError`.
    pub fn register<F>(&mut self, name: &str, make: F) -> &mut Self
    where
        F: Fn(Args) -> Result<Arc<dyn Referent>, Exception> + Send + Sync + 'static,
    {
        self.0.insert(name.into(), Arc::new(make));
        self
    }

    pub fn make(&self, name: &str, args: Args) -> Result<Arc<dyn Referent>, Exception> {
        match self.0.get(name) {
            Some(make) => make(args),
            None => {
                let mut names: Vec<&str> = self.0.keys().map(|name| &**name).collect();
                names.sort_unstable();
                let text = format!(
                    "no type is registered as `{name}`; there are: {}",
                    names.join(", ")
                );
                Err(Exception::key_error(text.into()))
            }
        }
    }
}
