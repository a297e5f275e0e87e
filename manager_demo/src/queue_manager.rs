//! Run the tasks of another process from a shared queue, until one says `exit`.
//!
//! Python:  `QueueManager.register('get_task_queue', callable=...)`, `manager.start()`; `m.connect()`, `m.get_task_queue()`
//! Differs: a task is the name of a function with its arguments, and the worker calls only registered names. The server
//!          runs in threads of the worker's process, which uses the queues without proxies. The notes' server shuts down
//!          right after `exit`, and a client that reads its results later fails; this one waits for its client.
//! Order:   a task is put before it runs, and runs before its result is read. The worker's last line comes last.
//! Usage:   queue_manager [python-client | python-server], by default Rust on both sides
//! Variants: python-client, python-server
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiprocessing-managers = "0.1"
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, ensure};
use multiprocessing_managers::types::Queue;
use multiprocessing_managers::{
    Address, Args, Exception, Manager, Registry, Server, Task, Tasks, Value,
};

const AUTHKEY: &str = "abc";

/// The environment variable that makes this program the client.
const CLIENT_PROCESS: &str = "QUEUE_MANAGER_CLIENT";

pub fn main() -> Result<()> {
    if env::var_os(CLIENT_PROCESS).is_some() {
        let mut told = String::new();
        io::stdin()
            .read_line(&mut told)
            .context("read the address")?;
        let (address, authkey) = told
            .trim_end()
            .split_once(' ')
            .context("the address and the key")?;
        return client(&address.parse()?, authkey);
    }
    match env::args().next_back().as_deref() {
        Some("python-client") => server(python(CLIENT)),
        Some("python-server") => python_server(),
        _ => server(this_program()?),
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

    let mut client = start(client, manager.address())?;
    let rest = task.clone();
    let worker = thread::spawn(move || work(&task, &result));
    let status = client.wait().context("wait for the client")?;
    ensure!(status.success(), "the client failed: {status}");
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

/// Starts the client, and tells it the address and the key through its standard input, because every user of the machine can
/// read a command line.
fn start(mut client: Command, address: &Address) -> Result<Child> {
    let mut child = client
        .stdin(Stdio::piped())
        .spawn()
        .context("start the client")?;
    let mut stdin = child.stdin.take().context("the client's standard input")?;
    writeln!(stdin, "{address} {AUTHKEY}").context("tell the client the address")?;
    Ok(child)
}

/// Starts a server in Python, and is its client. The server prints its address first, and ends when it is told to.
fn python_server() -> Result<()> {
    let mut server = python(SERVER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start Python's server")?;
    let mut stdin = server.stdin.take().context("the server's standard input")?;
    let stdout = server
        .stdout
        .take()
        .context("the server's standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    writeln!(stdin, "{AUTHKEY}").context("tell the server the key")?;
    let address = lines.next().context("the server has ended")??;
    // The server's other lines are output of this program.
    let printer =
        thread::spawn(move || lines.try_for_each(|line| line.map(|line| println!("{line}"))));
    client(&address.parse()?, AUTHKEY)?;
    writeln!(stdin, "done").context("tell the server to end")?;
    let printed = printer
        .join()
        .map_err(|_| anyhow!("the printer panicked"))?;
    printed.context("read the server's lines")?;
    let status = server.wait().context("wait for the server")?;
    ensure!(status.success(), "the server failed: {status}");
    Ok(())
}

fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-c").arg(program);
    command
}

/// Returns the command that starts this program as the client.
fn this_program() -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("find this program")?);
    command.args(env::args_os().skip(1)).env(CLIENT_PROCESS, "");
    Ok(command)
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
import queue, sys, threading
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
authkey = input().encode()
server = QueueManager(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
worker = threading.Thread(target=work, daemon=True)
worker.start()
print('%s:%d' % server.address)
if sys.stdin.readline():  # empty if the parent was killed
    worker.join()
    print('worker exit.')
"#;
