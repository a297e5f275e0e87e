//! A client puts ten tasks into a queue of a server in another process, whose worker runs them; `exit` ends it.
//!
//! Python:  `QueueManager.register('get_task_queue', callable=...)`, `manager.start()`; `m.connect()`, `m.get_task_queue()`
//! Differs: a task is the name of a function, with its arguments, and the worker calls what is registered by that name.
//!          The server is threads of the worker's process, which so has the queues themselves and needs no proxies.
//! Notes:   their server shuts down at once after `exit`, and a client that reads its results a second later dies; here
//!          it stays until its client has ended.
//! Order:   a task is put before it runs, and runs before its result is read. The worker's last line is the last.
//! Usage:   queue_manager [python-client | python-server], by default Rust on both sides
//! Variants: python-client, python-server
//! Needs:   fork_demo/multiprocessing.rs, managers, partner.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! getrandom = { version = "0.4", default-features = false, features = ["std"] }
//! hmac = { version = "0.13", default-features = false }
//! libc = "0.2"
//! md-5 = { version = "0.11", default-features = false }
//! nix = { version = "0.31", default-features = false, features = ["socket"] }
//! num-bigint = { version = "0.5", default-features = false, features = ["std"] }
//! num-traits = { version = "0.2", default-features = false, features = ["std"] }
//! rustix = { version = "1", default-features = false, features = ["std", "event", "net", "process"] }
//! serde = "1"
//! sha2 = { version = "0.11", default-features = false }
//! unicode-properties = { version = "0.1", default-features = false, features = ["general-category"] }
//! ```

use std::process::Command;
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow};

use crate::managers::types::Queue;
use crate::managers::{Address, Args, Exception, Manager, Registry, Server, Task, Tasks, Value};
use crate::multiprocessing::{command, role};
use crate::partner::{Partner, python, told};

const AUTHKEY: &str = "abc";

pub fn main() -> Result<()> {
    if role().is_some() {
        let told = told()?;
        let (address, authkey) = told.split_once(' ').context("the address and the key")?;
        return client(&address.parse()?, authkey);
    }
    match env::args().next_back().as_deref() {
        Some("python-client") => server(python(CLIENT)),
        Some("python-server") => {
            let mut server = Partner::start(python(SERVER))?;
            server.tell(AUTHKEY)?;
            client(&server.hear()?.parse()?, AUTHKEY)?;
            server.join()
        }
        _ => server(command("client")?),
    }
}

fn server(client: Command) -> Result<()> {
    let (task, result) = (Queue::unbounded(), Queue::unbounded());
    let (task_queue, result_queue) = (task.clone(), result.clone());
    let mut registry = Registry::new();
    registry.register("get_task_queue", move |_| Ok(task_queue.clone()));
    registry.register("get_result_queue", move |_| Ok(result_queue.clone()));
    let address = "127.0.0.1:0".parse()?;
    let manager = Server::bind(&address, AUTHKEY.as_bytes(), registry).context("listen")?;
    let manager = manager.start().context("serve")?;

    let mut client = Partner::start(client)?;
    client.tell(format!("{} {AUTHKEY}", manager.address()))?;
    let rest = task.clone();
    let worker = thread::spawn(move || work(&task, &result));
    client.join()?;
    // If the client has ended early, because nobody reads its lines, the worker waits for this.
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

fn client(address: &Address, authkey: &str) -> Result<()> {
    if let Address::Tcp(host, _) = address {
        println!("Connect to server {host}...");
    }
    let m = Manager::connect(address, authkey.as_bytes())?;
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

const CLIENT: &str = r#"
import functools, sys
from multiprocessing.managers import BaseManager

class QueueManager(BaseManager):
    pass

QueueManager.register('get_task_queue')
QueueManager.register('get_result_queue')

def server_exit():
    return 'exit'

sys.stdout.reconfigure(line_buffering=True)
address, authkey = input().split()
server_addr, port = address.split(':')
print('Connect to server %s...' % server_addr)
m = QueueManager(address=(server_addr, int(port)), authkey=authkey.encode())
m.connect()
task = m.get_task_queue()
result = m.get_result_queue()
for i in range(10):
    n = functools.partial(print, 'Hello World!')
    print('Put task %s...' % n)
    task.put(n)
task.put(functools.partial(server_exit))
for i in range(10):
    r = result.get(timeout=10)
    print('Result: %s' % r)
print('master exit.')
"#;

const SERVER: &str = r#"
import queue, socket, sys, threading
from multiprocessing.managers import BaseManager

class QueueManager(BaseManager):
    pass

task_queue = queue.Queue()
result_queue = queue.Queue()
QueueManager.register('get_task_queue', callable=lambda: task_queue)
QueueManager.register('get_result_queue', callable=lambda: result_queue)

def server_exit():
    return 'exit'

def work():
    while True:
        n = task_queue.get()
        r = n()
        if r == 'exit':
            break
        result_queue.put(r)

sys.stdout.reconfigure(line_buffering=True)
parent = socket.socket(fileno=0)
authkey = parent.makefile('rb').readline().strip()
server = QueueManager(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
worker = threading.Thread(target=work, daemon=True)
worker.start()
parent.sendall(b'%s:%d\n' % (server.address[0].encode(), server.address[1]))
parent.recv(1)  # nothing, when the client has ended
worker.join()
print('worker exit.')
"#;
