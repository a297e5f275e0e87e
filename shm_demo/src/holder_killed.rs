//! Kill the process that holds a lock: the next owner is told and repairs the data.
//!
//! Python:  none: with CPython's Lock all others wait without end (cpython #88304)
//! Order:   the child is killed in the middle of its change, so the next owner finds the change half done.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::io::{self, PipeWriter, Read, Write};
use std::{process, thread};

use anyhow::{Context, Result, bail, ensure};
use multiproc::synchronize::Acquired;
use multiproc::{Array, fork};

/// The two accounts add up to this, except in the middle of a transfer.
const SUM: i64 = 100;

pub fn main() -> Result<()> {
    let (main, accounts) = (process::id(), Array::new(&[SUM, 0])?);
    let (mut half_done, writer) = io::pipe().context("make a pipe")?;
    let child = fork(|| transfer(&accounts, &writer))?;
    // Otherwise the read below would wait for this process too, if the child died early.
    drop(writer);
    let read = half_done.read_exact(&mut [0]);
    read.context("wait for the child")?;
    child.kill()?;
    println!(
        "main process {main} killed {}, {}",
        child.pid(),
        child.join()?
    );

    match accounts.acquire(true, None)? {
        Acquired::OwnerDied(mut accounts) => {
            println!(
                "main process {main} acquired, the owner died: {:?}",
                &*accounts
            );
            accounts[1] = SUM - accounts[0];
            accounts.repaired()?;
        }
        _ => bail!("the owner's death was not reported"),
    }
    let exit = fork(|| look(&accounts))?.join()?;
    ensure!(exit.success(), "the second child failed: {exit}");
    Ok(())
}

fn transfer(accounts: &Array<i64>, mut half_done: &PipeWriter) -> Result<()> {
    let mut accounts = accounts.lock()?;
    println!("child process {} acquired: {:?}", process::id(), &*accounts);
    accounts[0] -= 30;
    half_done.write_all(&[0]).context("tell the parent")?;
    loop {
        thread::park();
    }
}

fn look(accounts: &Array<i64>) -> Result<()> {
    let accounts = accounts.lock()?;
    println!("child process {} acquired: {:?}", process::id(), &*accounts);
    Ok(())
}
