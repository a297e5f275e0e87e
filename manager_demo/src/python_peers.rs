//! Python programs as they are: one uses a Rust manager's objects, the other's own manager has its queue drained by Rust.
//!
//! Python:  `SyncManager(address, authkey)`, `m.connect()`, `m.list()`, ...; a `BaseManager` with registered queues
//! Differs: neither side can tell what the other is. In Rust a job is a type of one's own, in Python it is a dict.
//! Order:   each waits for the one before. What the client leaves behind is counted when it has ended.
//! Requires: python3
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

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::managers::{Address, Manager, Registry, Server, from_value, to_value};
use crate::partner::{Partner, python};

const AUTHKEY: &str = "abc";

pub fn main() -> Result<()> {
    if let Err(error) = Command::new("python3").arg("-V").output() {
        eprintln!("python_peers: there is no python3 here: {error}");
        return Ok(());
    }
    let server = Server::bind(
        &"127.0.0.1:0".parse()?,
        AUTHKEY.as_bytes(),
        Registry::sync_manager(),
    );
    let server = server.and_then(Server::start).context("serve")?;
    let mut client = Partner::start(python(CLIENT))?;
    client.tell(format!("{} {AUTHKEY}", server.address()))?;
    client.join()?;
    println!("server: {} objects are left", server.number_of_objects());

    let mut manager = Partner::start(python(MANAGER))?;
    manager.tell(AUTHKEY)?;
    worker(&manager.hear()?.parse()?)?;
    manager.join()
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
import queue, socket, sys, threading
from multiprocessing.managers import BaseManager

class Jobs(BaseManager):
    pass

jobs, done = queue.Queue(), queue.Queue()
Jobs.register('jobs', callable=lambda: jobs)
Jobs.register('done', callable=lambda: done)
for n in range(5):
    jobs.put({'number': n})

sys.stdout.reconfigure(line_buffering=True)
parent = socket.socket(fileno=0)
authkey = parent.makefile('rb').readline().strip()
server = Jobs(address=('127.0.0.1', 0), authkey=authkey).get_server()
threading.Thread(target=server.serve_forever, daemon=True).start()
parent.sendall(b'%s:%d\n' % (server.address[0].encode(), server.address[1]))
parent.recv(1)      # nothing, when the worker has ended
while not done.empty():
    print('manager: {number} squared is {square}'.format(**done.get()))
"#;
