//! Kill a consumer that waits in `get`: the others go on and nothing is lost.
//!
//! Python:  none: a killed consumer can keep the queue's lock, and all others wait without end
//! Order:   the child is killed before the first item is put, so no item is lost with it.
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

pub fn main() -> Result<()> {
    let (main, queue) = (process::id(), Queue::new()?);
    let killed = fork(|| r(&queue))?;
    let others = [fork(|| r(&queue))?, fork(|| r(&queue))?];
    // Time to reach `get`. Killed anywhere else, it takes no item either.
    thread::sleep(SECOND);
    killed.kill()?;
    println!(
        "main process {main} killed {}, {}",
        killed.pid(),
        killed.join()?
    );
    for item in 0..10 {
        queue.put(&item)?;
    }
    queue.close()?;
    for other in others {
        let exit = other.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    println!("main process {main} joined the others");
    Ok(())
}

fn r(queue: &Queue<u32>) -> Result<()> {
    for item in queue.iter() {
        println!("child process {} got {}", process::id(), item?);
    }
    Ok(())
}
