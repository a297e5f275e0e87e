//! A queue with a limit: `put` waits for room, and who does not want to wait is told that it is full or empty.
//!
//! Python:  `Queue(maxsize)`, `put_nowait` and `queue.Full`, `get(timeout=...)`, `get_nowait` and `queue.Empty`
//! Order:   the third put returns only when a get has made room: after the child has begun.
//! Usage:   bounded [ring], by default on sockets
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

use anyhow::{Context, Result, bail, ensure};

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
    let main = process::id();
    let queue = Queue::<u32, C>::bounded(2)?;
    queue.put(&1)?;
    queue.put(&2)?;
    let size = queue.len()?.context("this queue does not count")?;
    println!("main process {main} put 2 items, qsize {size}");
    println!(
        "main process {main} put_nowait: {}",
        refused(queue.try_put(&3))?
    );
    println!(
        "main process {main} put with a timeout: {}",
        refused(queue.put_timeout(&3, SECOND))?
    );
    let child = fork(|| r(&queue))?;
    let put = queue.put_timeout(&3, SECOND * 100);
    put.context("put the third, while nobody gets: was the child killed?")?;
    println!("main process {main} put the third");
    let exit = child.join()?;
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    println!(
        "main process {main} get_nowait: {}",
        refused(queue.try_get())?
    );
    println!(
        "main process {main} get with a timeout: {}",
        refused(queue.get_timeout(SECOND))?
    );
    Ok(())
}

fn r<C: Channel>(queue: &Queue<u32, C>) -> Result<u8> {
    thread::sleep(SECOND);
    println!("child process {} begins to get", process::id());
    let got = [queue.get()?, queue.get()?, queue.get()?];
    println!("child process {} got {got:?}", process::id());
    Ok(0)
}

fn refused<T>(result: Result<T, QueueError>) -> Result<&'static str> {
    match result {
        Err(QueueError::Full) => Ok("full"),
        Err(QueueError::Empty) => Ok("empty"),
        Err(error) => Err(error.into()),
        Ok(_) => bail!("there was room, or an item, where there is none"),
    }
}
