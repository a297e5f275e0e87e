//! The side that has no queues, and the names that both sides know.

use std::sync::Mutex;

use pickle_value::Address;

use crate::client::{Error, Manager};
use crate::proxies::QueueProxy;
use crate::sync::lock;

/// The notes' key. Everybody knows it.
pub const DEFAULT_AUTHKEY: &[u8] = b"password";
pub const GET_TASK_Q_FUNC_NAME: &str = "get_task_queue";
pub const GET_RESULT_Q_FUNC_NAME: &str = "get_result_queue";

/// The side that has not.
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
    /// Does not connect yet.
    pub fn new(address: &Address, authkey: &[u8]) -> Self {
        RemoteQueueClient {
            address: address.clone(),
            authkey: authkey.to_owned(),
            queues: Mutex::new(None),
        }
    }

    /// Connects, also where it has been connected before: to a server that was started again, for instance.
    ///
    /// # Errors
    ///
    /// Those of [`Manager::connect`], and [`Error::Remote`] if the server has no such queues.
    pub fn connect(&self) -> Result<(), Error> {
        let queues = Queues::of(&self.address, &self.authkey)?;
        *lock(&self.queues) = Some(queues);
        Ok(())
    }

    /// The queue of tasks. Connects if that was not done yet.
    pub fn get_task_queue(&self) -> Result<QueueProxy, Error> {
        self.with(|queues| queues.task.clone())
    }

    /// The queue of results. Connects if that was not done yet.
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
            task: manager.get_queue(GET_TASK_Q_FUNC_NAME)?,
            result: manager.get_queue(GET_RESULT_Q_FUNC_NAME)?,
        })
    }
}
