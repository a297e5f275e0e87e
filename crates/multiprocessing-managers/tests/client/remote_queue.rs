//! A task queue and a result queue, with Python on either side.

use std::thread;
use std::time::Duration;

use multiprocessing_managers::remote_queue::{
    DEFAULT_AUTHKEY, RemoteQueueClient, RemoteQueueServer,
};
use multiprocessing_managers::*;

use super::{KEY, with_python};

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
