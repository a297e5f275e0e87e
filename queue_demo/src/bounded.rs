//! Limit a queue: wait for room or for an item, wait a second, or do not wait.
//!
//! Python:  `Queue(maxsize)`, `put_nowait` and `queue.Full`, `get(timeout=...)`, `get_nowait` and `queue.Empty`
//! Order:   a `put` into the full queue returns after the child has made room by a `get`.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Result, bail, ensure};
use multiproc::{Queue, QueueError, fork};

const SECOND: Duration = Duration::from_millis(100);
const ROOM: usize = 2;

pub fn main() -> Result<()> {
    let (main, queue) = (process::id(), Queue::bounded(ROOM)?);
    for item in 0..ROOM {
        queue.put(&item)?;
    }
    println!(
        "main process {main} put {ROOM} items, qsize {}",
        queue.len()
    );
    println!(
        "main process {main} put_nowait: {}",
        refused(|| queue.try_put(&ROOM))?
    );
    let late = refused(|| queue.put_timeout(&ROOM, SECOND))?;
    println!("main process {main} put with a timeout: {late}");
    let child = fork(|| r(&queue))?;
    queue.put(&ROOM)?;
    println!("main process {main} put one more");
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!(
        "main process {main} get_nowait: {}",
        refused(|| queue.try_get())?
    );
    let late = refused(|| queue.get_timeout(SECOND))?;
    println!("main process {main} get with a timeout: {late}");
    Ok(())
}

fn r(queue: &Queue<usize>) -> Result<()> {
    thread::sleep(SECOND);
    println!("child process {} begins to get", process::id());
    for _ in 0..=ROOM {
        println!("child process {} got {}", process::id(), queue.get()?);
    }
    Ok(())
}

/// Why the queue refused, and after how long.
fn refused<T>(call: impl FnOnce() -> Result<T, QueueError>) -> Result<String> {
    let start = Instant::now();
    let why = match call() {
        Err(QueueError::Full) => "full",
        Err(QueueError::Empty) => "empty",
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("the queue was neither full nor empty"),
    };
    let seconds = start.elapsed().div_duration_f64(SECOND);
    Ok(format!("{why} after {seconds:.1} s"))
}
