//! A consumer is killed while it waits in `get`; the others go on and nothing is lost.
//!
//! Python:  none: the killed process keeps the queue's lock, and all others wait for ever
//! Order:   the child is killed before the first item is put, and so takes none along.
//! Usage:   consumer_killed [ring], by default on sockets
//! Variants: ring
//! Needs:   channel.rs, event.rs, fork_demo/multiprocessing.rs, monitor.rs, queues.rs, ring.rs, shm_demo/robust.rs, socket.rs
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

use anyhow::{Result, ensure};

use crate::channel::Channel;
use crate::multiprocessing::{Exit, fork};
use crate::queues::{Queue, QueueError};
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
    let queue = Queue::<u32, C>::new()?;
    let killed = fork(|| r(&queue))?;
    let others = (0..2)
        .map(|_| fork(|| r(&queue)))
        .collect::<Result<Vec<_>>>()?;
    // Time for it to reach `get`. It gets nothing wherever it is killed.
    thread::sleep(SECOND);
    killed.kill()?;
    println!(
        "main process {} killed {}, {}",
        process::id(),
        killed.pid(),
        killed.join()?
    );
    for item in 0..10 {
        queue.put(&item)?;
    }
    queue.close()?;
    for other in others {
        let exit = other.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    println!("main process {} joined the others", process::id());
    Ok(())
}

fn r<C: Channel>(queue: &Queue<u32, C>) -> Result<u8> {
    loop {
        match queue.get() {
            Ok(item) => println!("child process {} got {item}", process::id()),
            Err(QueueError::Closed) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}
