//! A task queue and a result queue, between processes and machines.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, on a `BaseManager` with two registered names
//! Differs: the server runs in threads of its program, Python's in a process of its own; so the queues and their items are
//!          still there when it is shut down and started again. Neither side calls what it gets: that is for
//!          [`Tasks`](super::tasks::Tasks).
//!
//! Either side may be Python's. On both sides any thread may use the queues, which are proxies.

use std::sync::{Arc, Mutex};

use super::args::Args;
use super::caller::lock;
use super::client::{Error, Manager};
use super::proxies::QueueProxy;
use super::referent::{Gone, Referent};
use super::registry::Registry;
use super::server::{Running, Server};
use super::types::queue::Queue;
use super::value::Address;

/// The notes' key. Everybody knows it.
pub const DEFAULT_AUTHKEY: &[u8] = b"password";
pub const GET_TASK_Q_FUNC_NAME: &str = "get_task_queue";
pub const GET_RESULT_Q_FUNC_NAME: &str = "get_result_queue";

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

/// The side that has not.
pub struct RemoteQueueClient {
    address: Address,
    authkey: Vec<u8>,
    queues: Mutex<Option<Queues>>,
}

struct Started {
    queues: Queues,
    // Ends after the proxies, which say farewell.
    running: Running,
}

#[derive(Clone)]
struct Queues {
    task: QueueProxy,
    result: QueueProxy,
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
    fn of(address: &Address, authkey: &[u8]) -> Result<Queues, Error> {
        let manager = Manager::connect(address, authkey)?;
        Ok(Queues {
            task: manager.get_queue(GET_TASK_Q_FUNC_NAME)?,
            result: manager.get_queue(GET_RESULT_Q_FUNC_NAME)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::super::client::tests::{KEY, with_python};
    use super::super::tasks::{Task, TaskError, Tasks};
    use super::super::value::Value;
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A worker, until it is told to stop. Python's server imports what is put, so the names are some that it has.
    fn work(tasks: &QueueProxy, results: &QueueProxy) {
        let known = Tasks::new()
            .register("builtins.max", |args| Ok(args.positional.len().into()))
            .register("sys.exit", |_| Ok("shutdown".into()));
        loop {
            let task = tasks.get_timeout(LONG).unwrap().unwrap();
            let result = match known.run(&task) {
                Ok(value) => value,
                Err(TaskError::Refused(_)) => "refused".into(),
                Err(TaskError::Raised(exception)) => panic!("{exception}"),
            };
            results.put(result.clone()).unwrap();
            if result == "shutdown".into() {
                return;
            }
        }
    }

    fn order(tasks: &QueueProxy, results: &QueueProxy) {
        let two = Args::new([1i64.into(), 2i64.into()]).keyword("key", Value::None);
        tasks.put(Task::call("builtins", "max", two)).unwrap();
        let stranger = Task::call("os", "getpid", Args::default());
        tasks.put(stranger).unwrap();
        let end = Task::call("sys", "exit", Args::default());
        tasks.put(end).unwrap();
        for expected in [2i64.into(), Value::from("refused"), "shutdown".into()] {
            assert_eq!(results.get_timeout(LONG).unwrap(), Some(expected));
        }
    }

    #[test]
    fn two_clients_of_python() {
        with_python(|python| {
            let client = || RemoteQueueClient::new(&python.address, KEY);
            let (master, worker) = (client(), client());
            let tasks = worker.get_task_queue().unwrap();
            let results = worker.get_result_queue().unwrap();
            let worker = thread::spawn(move || work(&tasks, &results));
            let tasks = master.get_task_queue().unwrap();
            order(&tasks, &master.get_result_queue().unwrap());
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_server_and_its_client() {
        let address = Address::Tcp("127.0.0.1".into(), 0);
        let server = RemoteQueueServer::new(&address, DEFAULT_AUTHKEY);
        let tasks = server.get_task_queue().unwrap();
        let results = server.get_result_queue().unwrap();
        let client = RemoteQueueClient::new(&server.start().unwrap(), DEFAULT_AUTHKEY);
        let worker = thread::spawn(move || work(&tasks, &results));
        let tasks = client.get_task_queue().unwrap();
        order(&tasks, &client.get_result_queue().unwrap());
        worker.join().unwrap();
        // A queue outlives the server.
        tasks.put("left").unwrap();
        server.shutdown();
        let error = tasks.put("lost").unwrap_err();
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        let left = server.get_task_queue().unwrap().get_nowait().unwrap();
        assert_eq!(left, Some("left".into()));
    }
}
