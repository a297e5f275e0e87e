//! A hundred consumers share a thousand items: every item goes to one of them.
//!
//! Python:  `multiprocessing.Queue`
//! Notes:   the children ask `empty()` before each `get()`. Started before the items are put they find nothing and leave,
//!          and all items are lost (see empty_race); and between the two calls another child may take the last item. The
//!          sound end is `close`: who reads on is told that nothing more will come. The twin puts one None for each.
//! Order:   which child gets which item is free; every child gets its items in the order they were put.
//! Usage:   queue [ring], by default on sockets
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
    println!("main process pid is {}", process::id());
    let queue = Queue::<u32, C>::new()?;
    let children = (0..100)
        .map(|_| fork(|| r(&queue)))
        .collect::<Result<Vec<_>>>()?;
    for count in 0..1000 {
        queue.put(&count)?;
    }
    queue.close()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    println!("main process joined 100 child processes");
    Ok(())
}

fn r<C: Channel>(queue: &Queue<u32, C>) -> Result<u8> {
    loop {
        match queue.get() {
            Ok(count) => println!("Child process {} count {count}", process::id()),
            Err(QueueError::Closed) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        thread::sleep(SECOND);
    }
}
