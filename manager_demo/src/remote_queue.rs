//! A task queue for functions that both sides know by name; one that is not registered is refused by name.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, and `from tasks import run, shutdown`
//! Differs: the worker calls what is registered, and nothing else. Python calls whatever arrives, unless one looks first.
//! Notes:   their `break` stands before `server.shutdown()`, so that never runs, and nobody reads the results.
//! Order:   a task runs before its result is read. The server shuts down when its client has read all and ended.
//! Usage:   remote_queue [python-client | python-server], by default Rust on both sides
//! Variants: python-client, python-server
//! Needs:   fork_demo/multiprocessing.rs, managers, partner.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! getrandom = { version = "0.4", features = ["std"] }
//! hmac = "0.13"
//! libc = "0.2"
//! md-5 = "0.11"
//! nix = { version = "0.31", features = ["socket"] }
//! num-bigint = "0.5"
//! num-traits = "0.2"
//! rustix = { version = "1", features = ["event", "fs", "net", "process"] }
//! serde = { version = "1", features = ["derive"] }
//! sha2 = "0.11"
//! unicode-properties = "0.1"
//! ```

use std::process::Command;
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow};

use crate::managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
use crate::managers::{Address, Args, Exception, QueueProxy, Task, TaskError, Tasks, Value};
use crate::multiprocessing::{command, role};
use crate::partner::{Partner, python, told};

const AUTHKEY: &str = "password";

pub fn main() -> Result<()> {
    if role().is_some() {
        let told = told()?;
        let (address, authkey) = told.split_once(' ').context("the address and the key")?;
        return client(&address.parse()?, authkey);
    }
    match env::args().next_back().as_deref() {
        Some("python-client") => server(python(&[TASKS, CLIENT].concat())),
        Some("python-server") => {
            let mut server = Partner::start(python(&[TASKS, SERVER].concat()))?;
            server.tell(AUTHKEY)?;
            client(&server.hear()?.parse()?, AUTHKEY)?;
            server.join()
        }
        _ => server(command("client")?),
    }
}

fn server(client: Command) -> Result<()> {
    let server = RemoteQueueServer::new(&"127.0.0.1:0".parse()?, AUTHKEY.as_bytes());
    // The first that asks starts it.
    let (task_queue, result_queue) = (server.get_task_queue()?, server.get_result_queue()?);
    let mut client = Partner::start(client)?;
    client.tell(format!("{} {AUTHKEY}", server.start()?))?;
    let worker = thread::spawn(move || work(&task_queue, &result_queue));
    // The worker has no more to do if the client fails.
    client.join()?;
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

fn client(address: &Address, authkey: &str) -> Result<()> {
    let client = RemoteQueueClient::new(address, authkey.as_bytes());
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

/// Both sides have this module, as `tasks.py`; it stands here so that this file is all there is.
const TASKS: &str = r#"
import sys, types
tasks = sys.modules['tasks'] = types.ModuleType('tasks')
exec("""
def run():
    print("Hello World!")

def shutdown():
    return 'shutdown'
""", vars(tasks))
"#;

const CLIENT: &str = r#"
import platform
from multiprocessing.managers import BaseManager
from tasks import run, shutdown

class RemoteQueueManager(BaseManager):
    pass

RemoteQueueManager.register('get_task_queue')
RemoteQueueManager.register('get_result_queue')
sys.stdout.reconfigure(line_buffering=True)
address, authkey = input().split()
host, port = address.split(':')
manager = RemoteQueueManager(address=(host, int(port)), authkey=authkey.encode())
manager.connect()
task_queue, result_queue = manager.get_task_queue(), manager.get_result_queue()
for task in [run, platform.node, run, shutdown]:
    task_queue.put(task)
for i in range(4):
    print('Result: %s' % result_queue.get(timeout=10))
print('client exit.')
"#;

const SERVER: &str = r#"
import queue, socket, threading
from multiprocessing.managers import BaseManager
from tasks import run, shutdown

class RemoteQueueManager(BaseManager):
    pass

task_queue, result_queue = queue.Queue(), queue.Queue()
RemoteQueueManager.register('get_task_queue', callable=lambda: task_queue)
RemoteQueueManager.register('get_result_queue', callable=lambda: result_queue)
known = {'tasks.run': run, 'tasks.shutdown': shutdown}

def work():
    r = None
    while r != 'shutdown':
        n = task_queue.get()
        name = '%s.%s' % (n.__module__, n.__qualname__)
        if name in known:
            r = n()
        else:
            r = 'refused: no task is registered as `%s`; there are: %s' % (name, ', '.join(known))
        result_queue.put(r)

sys.stdout.reconfigure(line_buffering=True)
parent = socket.socket(fileno=0)
authkey = parent.makefile('rb').readline().strip()
server = RemoteQueueManager(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
worker = threading.Thread(target=work, daemon=True)
worker.start()
parent.sendall(b'%s:%d\n' % (server.address[0].encode(), server.address[1]))
parent.recv(1)              # nothing, when the client has ended
task_queue.put(shutdown)    # in case that it was killed
worker.join()
print('worker exit.')
"#;
