//! A queue is handed to a child that inherits nothing: its descriptors travel over a Unix socket.
//!
//! Python:  `SimpleQueue`, as an argument of a forkserver's process
//! Order:   the child gets what was put, in this order; then the queue is empty again.
//! Usage:   simple_queue [ring], by default on sockets
//! Variants: ring
//! Needs:   channel.rs, event.rs, fork_demo/forkserver.rs, fork_demo/multiprocessing.rs, monitor.rs, queues.rs, ring.rs, shm_demo/robust.rs, socket.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! rustix = { version = "1", features = ["event", "fs", "mm", "net", "process", "stdio", "thread"] }
//! serde = "1"
//! ```

use std::os::fd::OwnedFd;
use std::{env, process};

use anyhow::{Result, ensure};

use crate::channel::Channel;
use crate::forkserver::{ForkServer, serve};
use crate::multiprocessing::{Exit, role};
use crate::queues::SimpleQueue;
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
    if role().as_deref() == Some(ForkServer::ROLE) {
        return serve(child::<C>);
    }
    let queue = SimpleQueue::<String, C>::new()?;
    println!(
        "main process {} empty: {}",
        process::id(),
        word(queue.empty()?)
    );
    for item in ["spam", "ham", "eggs"] {
        queue.put(&item.to_owned())?;
    }
    println!(
        "main process {} empty: {}",
        process::id(),
        word(queue.empty()?)
    );
    let server = ForkServer::start()?;
    let exit = server.fork("child", &queue.fds())?.join()?;
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    println!(
        "main process {} empty: {}",
        process::id(),
        word(queue.empty()?)
    );
    Ok(())
}

fn child<C: Channel>(_role: &str, fds: Vec<OwnedFd>) -> Result<u8> {
    let queue = SimpleQueue::<String, C>::from_fds(fds)?;
    for _ in 0..3 {
        println!("child process {} got {}", process::id(), queue.get()?);
    }
    Ok(0)
}

fn word(empty: bool) -> &'static str {
    if empty { "yes" } else { "no" }
}
