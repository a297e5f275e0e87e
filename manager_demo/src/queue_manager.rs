//! Run the tasks of another process from a shared queue, until one says `exit`.
//!
//! Python:  `QueueManager.register('get_task_queue', callable=...)`, `manager.start()`; `m.connect()`, `m.get_task_queue()`
//! Differs: a task is the name of a function with its arguments, and the worker calls only registered names. The server
//!          runs in threads of the worker's process, which uses the queues without proxies. The notes' server shuts down
//!          right after `exit`, so a client that reads its results later fails. This server waits for its client.
//! Order:   a task is put before it runs, and runs before its result is read. The worker's last line comes last.
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
use multiprocessing_managers::types::Queue;
use multiprocessing_managers::{
    Address, Args, Exception, Manager, Registry, Server, Task, Tasks, Value,
};

const AUTHKEY: &str = "abc";

pub fn main() -> Result<()> {
    init([target(client)]);
    let (task, result) = (Queue::unbounded(), Queue::unbounded());
    let (task_queue, result_queue) = (task.clone(), result.clone());
    let mut registry = Registry::new();
    registry.register("get_task_queue", move |_| Ok(task_queue.clone()));
    registry.register("get_result_queue", move |_| Ok(result_queue.clone()));
    let address = "127.0.0.1:0".parse()?;
    let manager = Server::bind(&address, AUTHKEY.as_bytes(), registry).context("listen")?;
    let manager = manager.start().context("serve")?;

    let address = manager.address().to_string();
    let client = spawn(client, (address, AUTHKEY.to_owned()))?;
    let rest = task.clone();
    let worker = thread::spawn(move || work(&task, &result));
    let exit = client.join()?;
    ensure!(exit.success(), "the client failed: {exit}");
    // Ends the worker, even if the client has ended early.
    rest.put(Task::call("__main__", "server_exit", Args::default()), None)?;
    let worked = worker.join();
    worked.map_err(|_| anyhow!("the worker panicked"))??;
    manager.shutdown();
    println!("worker exit.");
    Ok(())
}

fn work(task: &Queue, result: &Queue) -> Result<()> {
    let tasks = Tasks::new()
        .register("builtins.print", print)
        .register("__main__.server_exit", |_| Ok("exit".into()));
    loop {
        let r = tasks.run(&task.get(None)?)?;
        if r.as_str() == Some("exit") {
            return Ok(());
        }
        result.put(r, None)?;
    }
}

fn print(args: &Args) -> Result<Value, Exception> {
    let words: Result<Vec<_>, _> = args.positional.iter().map(Value::str).collect();
    println!("{}", words?.join(" "));
    Ok(Value::None)
}

fn client((address, authkey): (String, String)) -> Result<()> {
    let address: Address = address.parse()?;
    if let Address::Tcp(host, _) = &address {
        println!("Connect to server {host}...");
    }
    let m = Manager::connect(&address, authkey.as_bytes())?;
    let task = m.get_queue("get_task_queue")?;
    let result = m.get_queue("get_result_queue")?;
    for _ in 0..10 {
        let n = Task::call("builtins", "print", Args::new(["Hello World!".into()]));
        println!("Put task {n}...");
        task.put(n)?;
    }
    task.put(Task::call("__main__", "server_exit", Args::default()))?;
    for _ in 0..10 {
        let r = result.get_timeout(Duration::from_secs(10))?;
        println!("Result: {}", r.context("no result within 10 s")?.str()?);
    }
    println!("master exit.");
    Ok(())
}
