//! Share a task queue for functions that both sides know by name; refuse others.
//!
//! Python:  the notes' `RemoteQueueServer` and `RemoteQueueClient`, and `from tasks import run, shutdown`
//! Differs: the worker calls only registered functions; Python calls whatever arrives, unless the worker checks it. In the
//!          notes `server.shutdown()` stands after a `break` and never runs, and no program reads the results.
//! Order:   a task runs before its result is read. The server shuts down after its client has read all and ended.
//! Usage:   remote_queue [python-client | python-server], by default Rust on both sides
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
use multiprocessing_managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
use multiprocessing_managers::{
    Address, Args, Exception, QueueProxy, Task, TaskError, Tasks, Value,
};

const AUTHKEY: &str = "password";

/// The environment variable that makes this program the client.
const CLIENT_PROCESS: &str = "REMOTE_QUEUE_CLIENT";

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
        Some("python-client") => server(python(&[TASKS, CLIENT].concat())),
        Some("python-server") => python_server(),
        _ => server(this_program()?),
    }
}

fn server(client: Command) -> Result<()> {
    let server = RemoteQueueServer::new(&"127.0.0.1:0".parse()?, AUTHKEY.as_bytes());
    // The first call starts the server.
    let (task_queue, result_queue) = (server.get_task_queue()?, server.get_result_queue()?);
    let mut client = start(client, &server.start()?)?;
    let worker = thread::spawn(move || work(&task_queue, &result_queue));
    // If the client fails, this returns and the worker ends with the process.
    let status = client.wait().context("wait for the client")?;
    ensure!(status.success(), "the client failed: {status}");
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
    let mut server = python(&[TASKS, SERVER].concat())
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

/// The module `tasks` of both sides. It would be a file of its own in a larger program.
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
import queue, threading
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
authkey = input().encode()
server = RemoteQueueManager(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
worker = threading.Thread(target=work, daemon=True)
worker.start()
print('%s:%d' % server.address)
if sys.stdin.readline():  # empty if the parent was killed
    worker.join()
    print('worker exit.')
"#;
