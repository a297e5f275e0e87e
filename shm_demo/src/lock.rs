//! Let four processes take turns in a critical section, and give up on a held lock.
//!
//! Python:  `Lock.acquire(block=True, timeout=None)`, `Lock.release()`
//! Differs: dropping the guard releases the lock, so a second release does not compile.
//! Order:   the sections never overlap; any process may be next.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Result, bail, ensure};
use multiproc::synchronize::Acquired;
use multiproc::{Lock, fork};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let lock = Lock::new()?;
    let held = lock.lock()?;
    println!("main process {} acquired", process::id());
    let exit = fork(|| give_up(&lock))?.join()?;
    ensure!(exit.success(), "the impatient child failed: {exit}");
    println!("main process {} release", process::id());
    drop(held);

    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(fork(|| work(&lock))?);
    }
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    Ok(())
}

fn give_up(lock: &Lock) -> Result<()> {
    for (block, timeout) in [(false, None), (true, Some(SECOND))] {
        let start = Instant::now();
        let Acquired::TimedOut = lock.acquire(block, timeout)? else {
            bail!("acquired a lock that another process holds");
        };
        let seconds = start.elapsed().div_duration_f64(SECOND);
        println!(
            "child process {} not acquired after {seconds:.1} s",
            process::id()
        );
    }
    Ok(())
}

fn work(lock: &Lock) -> Result<()> {
    for _ in 0..2 {
        let _held = lock.lock()?;
        println!("child process {} acquired", process::id());
        thread::sleep(SECOND / 5);
        println!("child process {} release", process::id());
    }
    Ok(())
}
