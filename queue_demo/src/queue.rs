//! Share a thousand items among a hundred consumers.
//!
//! Python:  `multiprocessing.Queue`
//! Differs: the notes' children ask `empty()` before each `get()`. If they start before the first `put`, they
//!          find nothing and leave (see empty_race). Here `close` ends the queue, and a consumer reads until then.
//! Order:   any child may get any item; every child gets its items in the order they were put.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Result, ensure};
use multiproc::{Queue, fork};

const SECOND: Duration = Duration::from_millis(100);
const CHILDREN: usize = 100;

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    let queue = Queue::new()?;
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        children.push(fork(|| r(&queue))?);
    }
    for count in 0..1000 {
        queue.put(&count)?;
    }
    queue.close()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    println!("main process joined {CHILDREN} child processes");
    Ok(())
}

fn r(queue: &Queue<u32>) -> Result<()> {
    for count in queue.iter() {
        println!("Child process {} count {}", process::id(), count?);
        thread::sleep(SECOND);
    }
    Ok(())
}
