//! A task queue and a result queue, between processes and machines.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, on a `BaseManager` with two registered names
//! Differs: the tasks are not called by whoever unpickles them, but by [`super::tasks::Tasks`]. The server's queues live in
//!          its own process, and its own calls take no connection.

use std::sync::Mutex;

use super::caller::lock;
use super::client::{Error, Manager};
use super::proxies::QueueProxy;
use super::value::Address;

/// The notes' key. Both sides had better have one of their own.
pub const DEFAULT_AUTHKEY: &[u8] = b"password";
pub const GET_TASK_Q_FUNC_NAME: &str = "get_task_queue";
pub const GET_RESULT_Q_FUNC_NAME: &str = "get_result_queue";

/// The side that does not have the queues. Any thread may use it.
pub struct RemoteQueueClient {
    address: Address,
    authkey: Vec<u8>,
    queues: Mutex<Option<Queues>>,
}

#[derive(Clone)]
struct Queues {
    task: QueueProxy,
    result: QueueProxy,
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

    /// Connects anew, also where it has been connected before: to a server that was started again, for instance.
    ///
    /// # Errors
    ///
    /// Those of [`Manager::connect`], and [`Error::Remote`] if the server has no such queues.
    pub fn connect(&self) -> Result<(), Error> {
        let queues = self.queues()?;
        *lock(&self.queues) = Some(queues);
        Ok(())
    }

    /// The queue of tasks. Connects if that was not done yet.
    pub fn get_task_queue(&self) -> Result<QueueProxy, Error> {
        Ok(self.connected()?.task)
    }

    /// The queue of results. Connects if that was not done yet.
    pub fn get_result_queue(&self) -> Result<QueueProxy, Error> {
        Ok(self.connected()?.result)
    }

    fn connected(&self) -> Result<Queues, Error> {
        let mut queues = lock(&self.queues);
        if queues.is_none() {
            *queues = Some(self.queues()?);
        }
        // It has just been filled.
        queues.clone().map_or_else(|| self.queues(), Ok)
    }

    fn queues(&self) -> Result<Queues, Error> {
        let manager = Manager::connect(&self.address, &self.authkey)?;
        Ok(Queues {
            task: manager.get_queue(GET_TASK_Q_FUNC_NAME)?,
            result: manager.get_queue(GET_RESULT_Q_FUNC_NAME)?,
        })
    }
}
