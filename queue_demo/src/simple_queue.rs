//! Pass a queue to a child that inherits nothing.
//!
//! Python:  `SimpleQueue`, as an argument of a forkserver's process
//! Differs: the queue's descriptors travel with the arguments, over a Unix socket; Python does the same.
//! Order:   the child gets the items in the order they were put; then the queue is empty again.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{os::unix::process::parent_id, process};

use anyhow::{Result, ensure};
use multiproc::{SimpleQueue, forkserver::ForkServer, init, target};

pub fn main() -> Result<()> {
    init([target(child)]);
    let (main, queue) = (process::id(), SimpleQueue::new()?);
    println!("main process {main} empty: {}", queue.empty());
    for item in ["spam", "ham", "eggs"] {
        queue.put(&item.to_owned())?;
    }
    println!("main process {main} empty: {}", queue.empty());
    let server = ForkServer::start()?;
    println!("fork server pid is {}", server.pid());
    let exit = server.spawn(child, queue.clone())?.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!("main process {main} empty: {}", queue.empty());
    Ok(())
}

fn child(queue: SimpleQueue<String>) -> Result<()> {
    println!("child process {} ppid is {}", process::id(), parent_id());
    while !queue.empty() {
        println!("child process {} got {}", process::id(), queue.get()?);
    }
    Ok(())
}
