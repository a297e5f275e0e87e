//! The owner of an RLock may acquire it again; others get it when it is released as often.
//!
//! Python:  `RLock.acquire()`, `RLock.release()`
//! Differs: acquiring a plain Lock twice is an error here; with Python the process waits for itself, for ever.
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

use std::process;

use anyhow::{Result, ensure};

use crate::multiprocessing::{Exit, fork};
use crate::robust::Acquired;
use crate::shared::RLock;

pub fn main() -> Result<()> {
    let lock = RLock::new()?;
    let outer = lock.lock()?;
    let inner = lock.lock()?;
    println!("main process {} acquired twice", process::id());
    look(&lock)?;
    drop(inner);
    println!("main process {} released once", process::id());
    look(&lock)?;
    drop(outer);
    println!("main process {} released twice", process::id());
    look(&lock)
}

/// Has a child try to acquire the lock.
fn look(lock: &RLock) -> Result<()> {
    let child = fork(|| {
        let found = match lock.acquire(false, None)? {
            Acquired::TimedOut => "not acquired",
            _ => "acquired",
        };
        println!("child process {} {found}", process::id());
        Ok(0)
    })?;
    let exit = child.join()?;
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    Ok(())
}
