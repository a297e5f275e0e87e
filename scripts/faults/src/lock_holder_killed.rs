//! The process that holds a lock is killed. The next owner is told and repairs the data; without a repair, no process
//! gets the lock again.

use std::io::{self, Read, Write};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use multiproc::synchronize::Acquired;
use multiproc::{Array, Exit, LockError, Process, fork};

use crate::each;

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |round| {
        // The data is consistent when the two add up to 100.
        let accounts = Array::new(&[100_i64, 0])?;
        let holder = holder(|| {
            let mut held = accounts.lock()?;
            held[0] -= 30;
            Ok(held)
        })?;
        holder.kill()?;
        holder.join()?;
        if round % 2 == 0 {
            return unrepaired(&accounts);
        }
        match accounts.acquire(true, None)? {
            Acquired::OwnerDied(mut held) => {
                ensure!(*held == [70, 0], "found {:?}", &*held);
                held[1] = 30;
                held.repaired().context("repair")?;
            }
            _ => bail!("nobody was told that the owner died"),
        }
        let exit = fork(|| {
            let held = accounts.lock()?;
            ensure!(*held == [70, 30], "found {:?}", &*held);
            Ok(())
        })?
        .join()?;
        ensure!(exit == Exit::Code(0), "the owner after that failed: {exit}");
        Ok("the next owner was told, and repaired".to_owned())
    })?;
    Ok("the next owner is told".to_owned())
}

/// Takes the lock and does not repair the data.
fn unrepaired(accounts: &Array<i64>) -> Result<String> {
    let told = accounts.lock().map(|held| held.to_vec());
    ensure!(matches!(told, Err(LockError::OwnerDied)), "got {told:?}");
    let refused = accounts.lock().map(|held| held.to_vec());
    let right = matches!(refused, Err(LockError::NotRecoverable));
    ensure!(right, "after no repair, got {refused:?}");
    Ok("the next owner was told, and all others were refused".to_owned())
}

/// Starts a process that holds what `acquire` returns until it is killed.
pub fn holder<G>(acquire: impl FnOnce() -> Result<G> + Send) -> Result<Process> {
    let (mut acquired, mut writer) = io::pipe().context("make a pipe")?;
    let holder = fork(|| -> Result<()> {
        let _held = acquire()?;
        writer.write_all(&[0]).context("tell the parent")?;
        loop {
            thread::park();
        }
    })?;
    drop(writer);
    acquired
        .read_exact(&mut [0])
        .context("wait for the holder")?;
    Ok(holder)
}
