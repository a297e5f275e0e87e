//! The side that has the queues.

use std::sync::{Arc, Mutex};

use pickle_value::Address;

use super::client::{GET_RESULT_Q_FUNC_NAME, GET_TASK_Q_FUNC_NAME, Queues};
use crate::args::Args;
use crate::caller::Gone;
use crate::client::Error;
use crate::proxies::QueueProxy;
use crate::referent::Referent;
use crate::registry::Registry;
use crate::server::{Running, Server};
use crate::sync::lock;
use crate::types::Queue;

/// The side that has the queues. Dropping it ends the server.
///
/// A task that a worker has in its hands when it is killed is put back, in front, for another: so a task is done at least
/// once, where the kill shows ([`Gone::Killed`]: on this machine), and a result may come twice. A worker on another
/// machine that is lost takes its task along, as with CPython's server; so give tasks a name, and count the results.
pub struct RemoteQueueServer {
    address: Address,
    authkey: Vec<u8>,
    task: Arc<Queue>,
    result: Arc<Queue>,
    started: Mutex<Option<Started>>,
}

struct Started {
    queues: Queues,
    // Ends after the proxies, which say farewell.
    running: Running,
}

impl RemoteQueueServer {
    /// Does not start yet. Port 0 is one that the system chooses.
    pub fn new(address: &Address, authkey: &[u8]) -> Self {
        RemoteQueueServer {
            address: address.clone(),
            authkey: authkey.to_owned(),
            task: Queue::unbounded(),
            result: Queue::unbounded(),
            started: Mutex::new(None),
        }
    }

    /// Starts the server, unless it is running, and returns where it listens, with the port that was chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the address cannot be had.
    pub fn start(&self) -> Result<Address, Error> {
        self.with(|started| started.running.address().clone())
    }

    /// The queue of tasks. Starts the server if that was not done yet.
    pub fn get_task_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|started| started.queues.task.clone())
    }

    /// The queue of results. Starts the server if that was not done yet.
    pub fn get_result_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|started| started.queues.result.clone())
    }

    /// Ends the server, if it is running: whoever waits in a queue is disconnected, and so are the proxies that this side
    /// has got. What lies in the queues is there when it is started again.
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
        for (name, queue) in [
            (GET_TASK_Q_FUNC_NAME, &self.task),
            (GET_RESULT_Q_FUNC_NAME, &self.result),
        ] {
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
