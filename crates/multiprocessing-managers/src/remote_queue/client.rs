//! The client, and the names that both sides know.

use std::sync::Mutex;

use pickle_value::Address;

use crate::client::{Error, Manager};
use crate::proxies::QueueProxy;
use crate::sync::lock;

/// A key for experiments. It is public.
pub const DEFAULT_AUTHKEY: &[u8] = b"password";
/// The name by which the task queue is registered.
pub const TASK_QUEUE: &str = "get_task_queue";
/// The name by which the result queue is registered.
pub const RESULT_QUEUE: &str = "get_result_queue";

/// A client of a task queue and a result queue, which connects when it is first used. See [the module](super) for an example.
///
/// ```
/// use multiprocessing_managers::remote_queue::RemoteQueueClient;
///
/// let nowhere = RemoteQueueClient::new(&"127.0.0.1:1".parse().unwrap(), b"key");
/// assert!(nowhere.connect().is_err());
/// ```
pub struct RemoteQueueClient {
    address: Address,
    authkey: Vec<u8>,
    queues: Mutex<Option<Queues>>,
}

#[derive(Clone)]
pub(crate) struct Queues {
    pub task: QueueProxy,
    pub result: QueueProxy,
}

impl RemoteQueueClient {
    /// Creates a client, which does not connect yet.
    pub fn new(address: &Address, authkey: &[u8]) -> Self {
        RemoteQueueClient {
            address: address.clone(),
            authkey: authkey.to_owned(),
            queues: Mutex::new(None),
        }
    }

    /// Connects, or connects again, for example to a restarted server.
    ///
    /// # Errors
    ///
    /// As [`Manager::connect`], and [`Error::Remote`] if the server has no such queues.
    pub fn connect(&self) -> Result<(), Error> {
        let queues = Queues::of(&self.address, &self.authkey)?;
        *lock(&self.queues) = Some(queues);
        Ok(())
    }

    /// Returns the task queue. Connects first, if needed.
    ///
    /// # Errors
    ///
    /// As [`RemoteQueueClient::connect`].
    pub fn get_task_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|queues| queues.task.clone())
    }

    /// Returns the result queue. Connects first, if needed.
    ///
    /// # Errors
    ///
    /// As [`RemoteQueueClient::connect`].
    pub fn get_result_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|queues| queues.result.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&Queues) -> T) -> Result<T, Error> {
        let mut queues = lock(&self.queues);
        match &*queues {
            Some(queues) => Ok(f(queues)),
            None => Ok(f(queues.insert(Queues::of(&self.address, &self.authkey)?))),
        }
    }
}

impl Queues {
    pub fn of(address: &Address, authkey: &[u8]) -> Result<Queues, Error> {
        let manager = Manager::connect(address, authkey)?;
        Ok(Queues {
            task: manager.get_queue(TASK_QUEUE)?,
            result: manager.get_queue(RESULT_QUEUE)?,
        })
    }
}
