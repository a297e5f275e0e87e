//! Wait until every item that was put is done.
//!
//! Python:  `JoinableQueue`, `task_done()`, `join()`
//! Differs: the notes misspell `task_done` as `task_down`.
//! Order:   `join` returns after the last `task_done`; one `task_done` too many is an error.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Result, bail, ensure};
use multiproc::{JoinableQueue, QueueError, fork};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let queue = JoinableQueue::new(0)?;
    let mut children = Vec::new();
    for _ in 0..2 {
        children.push(fork(|| r(&queue))?);
    }
    for item in 0..10 {
        queue.put(&item)?;
    }
    queue.join()?;
    println!("main process {} joined the queue", process::id());
    match queue.task_done() {
        Err(error @ QueueError::TooManyTasksDone) => println!("{error}"),
        done => bail!("one task_done too many gave {done:?}"),
    }
    queue.close()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    Ok(())
}

fn r(queue: &JoinableQueue<u32>) -> Result<()> {
    for item in queue.iter() {
        let item = item?;
        thread::sleep(SECOND / 10);
        println!("child process {} done {item}", process::id());
        queue.task_done()?;
    }
    Ok(())
}
