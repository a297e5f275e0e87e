//! The process that holds the lock is killed; the next owner gets the lock, is told, and repairs what it guards.
//!
//! Python:  none: with CPython's Lock everybody waits for ever (cpython #88304)
//! Order:   the child is killed in the middle of its change, so the next owner finds half of it.
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

use std::io::{self, PipeWriter, Read, Write};
use std::{process, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::multiprocessing::{Exit, fork};
use crate::robust::Acquired;
use crate::shared::Array;

pub fn main() -> Result<()> {
    // What the lock guards is whole when the two add up to 100.
    let accounts = Array::new(&[100_i64, 0])?;
    let (mut half_done, writer) = io::pipe().context("make a pipe")?;
    let child = fork(|| transfer(&accounts, &writer))?;
    drop(writer);
    half_done
        .read_exact(&mut [0])
        .context("wait for the child")?;
    child.kill()?;
    println!(
        "main process {} killed {}, {}",
        process::id(),
        child.pid(),
        child.join()?
    );

    match accounts.acquire(true, None)? {
        Acquired::OwnerDied(mut accounts) => {
            println!(
                "main process {} acquired, the owner died: {:?}",
                process::id(),
                &*accounts
            );
            accounts[1] = 100 - accounts[0];
            accounts.repaired().context("repair")?;
        }
        _ => bail!("nobody was told that the owner died"),
    }
    let exit = fork(|| look(&accounts))?.join()?;
    ensure!(exit == Exit::Code(0), "the second child failed: {exit}");
    Ok(())
}

fn transfer(accounts: &Array<i64>, mut half_done: &PipeWriter) -> Result<u8> {
    let mut accounts = accounts.lock()?;
    println!("child process {} acquired: {:?}", process::id(), &*accounts);
    accounts[0] -= 30;
    half_done.write_all(&[0]).context("tell the parent")?;
    loop {
        thread::park();
    }
}

fn look(accounts: &Array<i64>) -> Result<u8> {
    println!(
        "child process {} acquired: {:?}",
        process::id(),
        &*accounts.lock()?
    );
    Ok(0)
}
