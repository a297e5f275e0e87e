//! Give a worker thread thirty items, and join the queue until all are done.
//!
//! Python:  `queue.Queue`, `put`, `get`, `task_done`, `join`, and a worker that is a daemon thread
//! Differs: dropping the producer ends the queue, so the worker returns and can be joined; daemon shows the other way. If the
//!          worker fails in the middle of an item, `join` returns an error.
//! Order:   the items are done in the order of the puts, and before `join` returns. One `task_done` too many is an error.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! parking_lot = "0.13"
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
        Ok(()) => bail!("one task_done too many was accepted"),
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
