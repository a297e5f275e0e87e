//! The server, which owns the queues.

use std::sync::{Arc, Mutex};

use pickle_value::Address;

use super::client::{Queues, RESULT_QUEUE, TASK_QUEUE};
use crate::args::Args;
use crate::caller::Gone;
use crate::client::Error;
use crate::proxies::QueueProxy;
use crate::referent::Referent;
use crate::registry::Registry;
use crate::server::{Running, Server};
use crate::sync::lock;
use crate::types::Queue;

/// A server of a task queue and a result queue. See [the module](super) for an example. Dropping it stops the server.
///
/// If a worker on this machine is killed ([`Gone::Killed`]), its current task returns to the front of the queue for another
/// worker. So a task is executed at least once, and a result may arrive twice. If a worker on another machine disappears,
/// its current task is lost, as with CPython's server: give tasks names, and check the results.
///
/// ```
/// use multiprocessing_managers::remote_queue::RemoteQueueServer;
///
/// let server = RemoteQueueServer::new(&"127.0.0.1:0".parse().unwrap(), b"key");
/// server.get_task_queue()?.put("task")?;
/// server.shutdown();
/// assert_eq!(server.get_task_queue()?.len()?, 1); // started again
/// # Ok::<(), multiprocessing_managers::Error>(())
/// ```
pub struct RemoteQueueServer {
    address: Address,
    authkey: Vec<u8>,
    task: Arc<Queue>,
    result: Arc<Queue>,
    started: Mutex<Option<Started>>,
}

struct Started {
    queues: Queues,
    // Dropped after the proxies, which give back their counts.
    running: Running,
}

impl RemoteQueueServer {
    /// Creates a server, which does not start yet. Port 0 stands for any free port.
    pub fn new(address: &Address, authkey: &[u8]) -> Self {
        RemoteQueueServer {
            address: address.clone(),
            authkey: authkey.to_owned(),
            task: Queue::unbounded(),
            result: Queue::unbounded(),
            started: Mutex::new(None),
        }
    }

    /// Starts the server, unless it runs already, and returns its address, with the port that was chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the server cannot listen at the address.
    pub fn start(&self) -> Result<Address, Error> {
        self.with(|started| started.running.address().clone())
    }

    /// Returns the task queue. Starts the server first, if needed.
    ///
    /// # Errors
    ///
    /// As [`RemoteQueueServer::start`].
    pub fn get_task_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|started| started.queues.task.clone())
    }

    /// Returns the result queue. Starts the server first, if needed.
    ///
    /// # Errors
    ///
    /// As [`RemoteQueueServer::start`].
    pub fn get_result_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|started| started.queues.result.clone())
    }

    /// Stops the server, if it runs. Blocked calls are disconnected, including those of this side's proxies. The items in
    /// the queues stay for the next start.
    pub fn shutdown(&self) {
        if let Some(Started { queues, running }) = lock(&self.started).take() {
            drop(queues);
            running.shutdown();
        }
    }

    fn with<T>(&self, f: impl FnOnce(&Started) -> T) -> Result<T, Error> {
        let mut started = lock(&self.started);
        match &*started {
            Some(started) => Ok(f(started)),
            None => Ok(f(started.insert(self.started()?))),
        }
    }

    fn started(&self) -> Result<Started, Error> {
        let mut registry = Registry::new();
        let task = Arc::downgrade(&self.task);
        self.task.on_lost(Box::new(move |item, how| {
            if let (Gone::Killed, Some(task)) = (how, task.upgrade()) {
                task.put_back(item);
            }
        }));
        for (name, queue) in [(TASK_QUEUE, &self.task), (RESULT_QUEUE, &self.result)] {
            let queue = queue.clone();
            registry.register(name, move |_: Args| Ok(queue.clone() as Arc<dyn Referent>));
        }
        let server = Server::bind(&self.address, &self.authkey, registry);
        let running = server.and_then(Server::start).map_err(|source| Error::Io {
            what: format!("listen at {}", self.address),
            source,
        })?;
        let queues = Queues::of(running.address(), &self.authkey)?;
        Ok(Started { queues, running })
    }
}
