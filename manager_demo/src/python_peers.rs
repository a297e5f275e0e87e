//! Serve objects to a Python client, then work for a Python manager.
//!
//! Python:  `SyncManager(address, authkey)`, `m.connect()`, `m.list()`, ...; a `BaseManager` with registered queues
//! Differs: neither side notices the other's language. A job is a struct in Rust and a dict in Python.
//! Order:   the programs run one after the other. After the client's end, the server counts the objects that it has left.
//! Platform: Linux; starts python3
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiprocessing-managers = { version = "0.1", features = ["serde"] }
//! serde = { version = "1", features = ["derive"] }
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use multiprocessing_managers::{Address, Manager, Registry, Server, from_value, to_value};
use serde::{Deserialize, Serialize};

const AUTHKEY: &str = "abc";

pub fn main() -> Result<()> {
    if let Err(error) = Command::new("python3").arg("-V").output() {
        eprintln!("python_peers: cannot run python3: {error}");
        return Ok(());
    }
    let server = Server::bind(
        &"127.0.0.1:0".parse()?,
        AUTHKEY.as_bytes(),
        Registry::sync_manager(),
    );
    let server = server.and_then(Server::start).context("serve")?;
    let mut client = python(CLIENT)
        .stdin(Stdio::piped())
        .spawn()
        .context("start the client")?;
    let mut stdin = client.stdin.take().context("the client's standard input")?;
    // Every user of the machine can read a command line, so the key goes through standard input.
    writeln!(stdin, "{} {AUTHKEY}", server.address()).context("tell the client the address")?;
    let status = client.wait().context("wait for the client")?;
    ensure!(status.success(), "the client failed: {status}");
    println!("server: {} objects are left", server.number_of_objects());

    let mut manager = python(MANAGER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the manager")?;
    let mut stdin = manager
        .stdin
        .take()
        .context("the manager's standard input")?;
    let stdout = manager
        .stdout
        .take()
        .context("the manager's standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    writeln!(stdin, "{AUTHKEY}").context("tell the manager the key")?;
    let address = lines.next().context("the manager has ended")??;
    worker(&address.parse()?)?;
    drop(stdin);
    for line in lines {
        println!("{}", line.context("read the manager's lines")?);
    }
    let status = manager.wait().context("wait for the manager")?;
    ensure!(status.success(), "the manager failed: {status}");
    Ok(())
}

fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-c").arg(program);
    command
}

#[derive(Deserialize)]
struct Job {
    number: i64,
}

#[derive(Serialize)]
struct Done {
    number: i64,
    square: i64,
}

fn worker(address: &Address) -> Result<()> {
    let m = Manager::connect(address, AUTHKEY.as_bytes())?;
    let (jobs, done) = (m.get_queue("jobs")?, m.get_queue("done")?);
    while let Some(job) = jobs.get_nowait()? {
        println!("worker: gets {job}");
        let Job { number } = from_value(&job)?;
        let square = number * number;
        done.put(to_value(&Done { number, square })?)?;
    }
    println!("worker: nothing is left");
    Ok(())
}

const CLIENT: &str = r#"
import sys
from multiprocessing import current_process
from multiprocessing.managers import SyncManager

sys.stdout.reconfigure(line_buffering=True)
address, authkey = input().split()
host, port = address.split(':')
authkey = current_process().authkey = authkey.encode()  # also for the proxy in the dict
m = SyncManager(address=(host, int(port)), authkey=authkey)
m.connect()
numbers = m.list([3, 1, 2])
numbers.sort()
print('client: list', numbers)
d = m.dict({1: '1', '2': 2})
d[0.25] = None
print('client: dict', d)
d['numbers'] = numbers
d['numbers'].append(4)
print('client: list in the dict, appended to:', numbers)
try:
    numbers.index(9)
except ValueError as error:
    print('client: ValueError:', error)
namespace = m.Namespace(x=1)
namespace.y = namespace.x + 1
print('client:', namespace)
array = m.Array('i', [1, 2])
array[0] = -array[0]
print('client: array', list(array))
q = m.Queue(2)
q.put(('task', 1))
q.put(d)
print(f'client: queue gives {q.get()}, {q.qsize()} is left')
lock = m.Lock()
with lock:
    print('client: lock held, acquired once more:', lock.acquire(blocking=False))
print('client: lock released, acquired once more:', lock.acquire(blocking=False))
"#;

const MANAGER: &str = r#"
import queue, sys, threading
from multiprocessing.managers import BaseManager

class Jobs(BaseManager):
    pass

jobs, done = queue.Queue(), queue.Queue()
Jobs.register('jobs', callable=lambda: jobs)
Jobs.register('done', callable=lambda: done)
for n in range(5):
    jobs.put({'number': n})

sys.stdout.reconfigure(line_buffering=True)
authkey = input().encode()
server = Jobs(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
print('%s:%d' % server.address)
sys.stdin.read()  # until the worker has ended
while not done.empty():
    print('manager: {number} squared is {square}'.format(**done.get()))
"#;
