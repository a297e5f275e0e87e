//! Share a task queue for functions that both sides know by name; refuse others.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, and `from tasks import run, shutdown`
//! Differs: the worker calls only registered functions; a Python worker calls any function that arrives, unless it checks. In the
//!          notes `server.shutdown()` stands after a `break` and never runs, and no program reads the results.
//! Order:   a task runs before its result is read. The server shuts down after its client has read all results and ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! multiprocessing-managers = "0.1"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use multiproc::{init, spawn, target};
use multiprocessing_managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
use multiprocessing_managers::{
    Address, Args, Exception, QueueProxy, Task, TaskError, Tasks, Value,
};

const AUTHKEY: &str = "password";

pub fn main() -> Result<()> {
    init([target(client)]);
    let server = RemoteQueueServer::new(&"127.0.0.1:0".parse()?, AUTHKEY.as_bytes());
    // The first call starts the server.
    let (task_queue, result_queue) = (server.get_task_queue()?, server.get_result_queue()?);
    let address = server.start()?.to_string();
    let client = spawn(client, (address, AUTHKEY.to_owned()))?;
    let worker = thread::spawn(move || work(&task_queue, &result_queue));
    // If the client fails, this returns and the worker ends with the process.
    let exit = client.join()?;
    ensure!(exit.success(), "the client failed: {exit}");
    let worked = worker.join();
    worked.map_err(|_| anyhow!("the worker panicked"))??;
    server.shutdown();
    println!("worker exit.");
    Ok(())
}

fn work(task_queue: &QueueProxy, result_queue: &QueueProxy) -> Result<()> {
    let tasks = Tasks::new()
        .register("tasks.run", run)
        .register("tasks.shutdown", |_| Ok("shutdown".into()));
    loop {
        let r = match tasks.run(&task_queue.get()?) {
            Err(refused @ TaskError::Refused(_)) => refused.to_string().into(),
            r => r?,
        };
        result_queue.put(r.clone())?;
        if r.as_str() == Some("shutdown") {
            return Ok(());
        }
    }
}

fn run(_: &Args) -> Result<Value, Exception> {
    println!("Hello World!");
    Ok(Value::None)
}

fn client((address, authkey): (String, String)) -> Result<()> {
    let address: Address = address.parse()?;
    let client = RemoteQueueClient::new(&address, authkey.as_bytes());
    let (task_queue, result_queue) = (client.get_task_queue()?, client.get_result_queue()?);
    let (run, shutdown) = (("tasks", "run"), ("tasks", "shutdown"));
    let tasks = [run, ("platform", "node"), run, shutdown];
    for (module, name) in tasks {
        task_queue.put(Task::call(module, name, Args::default()))?;
    }
    for _ in tasks {
        let r = result_queue.get_timeout(Duration::from_secs(10))?;
        println!("Result: {}", r.context("no result within 10 s")?.str()?);
    }
    println!("client exit.");
    Ok(())
}
