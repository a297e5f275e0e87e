//! Four processes take turns in a critical section; who does not want to wait gives up after a time.
//!
//! Python:  `Lock.acquire(block=True, timeout=None)`, `Lock.release()`
//! Differs: `Drop` releases, so one release too many cannot be written; with Python it is an error when it runs.
//! Order:   the sections never overlap; which process is next is free.
//! Needs:   fork_demo/multiprocessing.rs, robust.rs, shared.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "process", "shm"] }
//! shared_memory = "0.12"
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::multiprocessing::{Exit, fork};
use crate::robust::Acquired;
use crate::shared::Lock;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let lock = Lock::new()?;
    let held = lock.lock()?;
    println!("main process {} acquired", process::id());
    let impatient = fork(|| give_up(&lock))?.join()?;
    ensure!(
        impatient == Exit::Code(0),
        "the impatient child failed: {impatient}"
    );
    println!("main process {} release", process::id());
    drop(held);

    let children = (0..4)
        .map(|_| fork(|| work(&lock)))
        .collect::<Result<Vec<_>>>()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    Ok(())
}

fn give_up(lock: &Lock) -> Result<u8> {
    for (block, timeout) in [(false, None), (true, Some(SECOND))] {
        match lock.acquire(block, timeout)? {
            Acquired::TimedOut => println!("child process {} not acquired", process::id()),
            _ => bail!("acquired a lock that another process holds"),
        }
    }
    Ok(0)
}

fn work(lock: &Lock) -> Result<u8> {
    for _ in 0..2 {
        let _held = lock.lock()?;
        println!("child process {} acquired", process::id());
        thread::sleep(SECOND / 5);
        println!("child process {} release", process::id());
    }
    Ok(0)
}
