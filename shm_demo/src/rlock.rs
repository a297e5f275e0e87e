//! Acquire an RLock twice: other processes get it after two releases.
//!
//! Python:  `RLock.acquire()`, `RLock.release()`
//! Differs: acquiring a plain `Lock` twice is an error here; in Python the process waits for itself forever.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::process;

use anyhow::{Result, ensure};
use multiproc::synchronize::Acquired;
use multiproc::{RLock, fork};

pub fn main() -> Result<()> {
    let lock = RLock::new()?;
    let outer = lock.lock()?;
    let inner = lock.lock()?;
    println!("main process {} acquired twice", process::id());
    try_in_child(&lock)?;
    drop(inner);
    println!("main process {} released once", process::id());
    try_in_child(&lock)?;
    drop(outer);
    println!("main process {} released twice", process::id());
    try_in_child(&lock)
}

fn try_in_child(lock: &RLock) -> Result<()> {
    let exit = fork(|| try_it(lock))?.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    Ok(())
}

fn try_it(lock: &RLock) -> Result<()> {
    let found = match lock.acquire(false, None)? {
        Acquired::TimedOut => "not acquired",
        _ => "acquired",
    };
    println!("child process {} {found}", process::id());
    Ok(())
}
