//! `join` returns when every item that was put has been reported as done.
//!
//! Python:  `JoinableQueue`, `task_done()`, `join()`
//! Notes:   they call it `task_down`.
//! Order:   "joined" comes after the last item is done; one `task_done` too many is an error.
//! Usage:   joinable_queue [ring], by default on sockets
//! Variants: ring
//! Needs:   channel.rs, event.rs, fork_demo/multiprocessing.rs, memory.rs, monitor.rs, queues.rs, ring.rs, shm_demo/robust.rs, socket.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! rustix = { version = "1", features = ["event", "fs", "mm", "net", "process", "thread"] }
//! serde = "1"
//! ```

use std::{env, process, thread, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::channel::Channel;
use crate::multiprocessing::{Exit, fork};
use crate::queues::{JoinableQueue, QueueError};
use crate::ring::Ring;
use crate::socket::Socket;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    if env::args().any(|arg| arg == "ring") {
        run::<Ring>()
    } else {
        run::<Socket>()
    }
}

fn run<C: Channel>() -> Result<()> {
    let queue = JoinableQueue::<u32, C>::new(0)?;
    let children = (0..2)
        .map(|_| fork(|| r(&queue)))
        .collect::<Result<Vec<_>>>()?;
    for item in 0..10 {
        queue.put(&item)?;
    }
    let joined = queue.join_timeout(SECOND * 100)?;
    ensure!(joined, "not all items are done: was a child killed?");
    println!("main process {} joined the queue", process::id());
    match queue.task_done() {
        Err(QueueError::TooManyTasksDone) => println!("{}", QueueError::TooManyTasksDone),
        _ => bail!("nothing was left to be done, and nobody noticed"),
    }
    queue.close()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    Ok(())
}

fn r<C: Channel>(queue: &JoinableQueue<u32, C>) -> Result<u8> {
    loop {
        match queue.get() {
            Ok(item) => {
                thread::sleep(SECOND / 10);
                println!("child process {} done {item}", process::id());
                queue.task_done()?;
            }
            Err(QueueError::Closed) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}
