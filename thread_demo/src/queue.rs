//! A worker takes thirty items from a queue; `join` returns when all of them are done.
//!
//! Python:  `queue.Queue`, `put`, `get`, `task_done`, `join`, and a worker that is a daemon thread
//! Differs: dropping the producer tells the worker that nothing more will come, so it ends and can be joined; for the
//!          daemon see daemon. Should the worker fail in the middle of an item, `join` is an error.
//! Order:   the items are done in the order in which they were put, before `join` returns; one `task_done` too many is an
//!          error.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::thread_queue::{Consumer, queue};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let (q, items) = queue(0);
    let worker = thread::Builder::new().spawn(move || worker(items));
    let worker = worker.context("start the worker")?;
    for item in 0..30 {
        q.put(item)?;
    }
    q.join()?;
    println!("joined");

    drop(q);
    let ended = worker.join().map_err(|_| anyhow!("the worker panicked"))?;
    println!("the worker has ended");
    match ended?.task_done() {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("nothing was left to be done, and nobody noticed"),
    }
    Ok(())
}

fn worker(q: Consumer<u32>) -> Result<Consumer<u32>> {
    while let Ok(item) = q.get() {
        thread::sleep(SECOND / 20);
        println!("done {item}");
        q.task_done()?;
    }
    Ok(q)
}
