//! Why a consumer must not ask whether the queue is empty: "empty" may mean "not yet".
//!
//! Python:  `while not q.empty(): q.get()`
//! Notes:   their example: children that start before the items are put find the queue empty, leave, and nobody says so.
//! Order:   here the children are joined before the first put, so that the loss is certain and not a matter of luck.
//! Usage:   empty_race [ring], by default on sockets
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

use std::{env, process};

use anyhow::{Result, ensure};

use crate::channel::Channel;
use crate::multiprocessing::{Exit, fork};
use crate::queues::Queue;
use crate::ring::Ring;
use crate::socket::Socket;

pub fn main() -> Result<()> {
    if env::args().any(|arg| arg == "ring") {
        run::<Ring>()
    } else {
        run::<Socket>()
    }
}

fn run<C: Channel>() -> Result<()> {
    let queue = Queue::<u32, C>::new()?;
    for _ in 0..3 {
        let exit = fork(|| r(&queue))?.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    for count in 0..10 {
        queue.put(&count)?;
    }
    queue.close()?;
    let mut lost = 0;
    while queue.get().is_ok() {
        lost += 1;
    }
    println!("main process {} lost {lost} of 10 items", process::id());
    Ok(())
}

fn r<C: Channel>(queue: &Queue<u32, C>) -> Result<u8> {
    let mut got = 0;
    while !queue.is_empty()? {
        queue.get()?;
        got += 1;
    }
    println!("Child process {} got {got} items", process::id());
    Ok(0)
}
