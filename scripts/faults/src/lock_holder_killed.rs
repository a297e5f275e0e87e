//! The process that holds a lock is killed. The next owner is told and repairs; without a repair, all are refused.

use std::io::{self, Read, Write};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::each;
use crate::multiprocessing::{Exit, Process, fork};
use crate::robust::{Acquired, Error};
use crate::shared::Array;

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |round| {
        // What the lock guards is whole when the two add up to 100.
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
            Ok(0)
        })?
        .join()?;
        ensure!(exit == Exit::Code(0), "the owner after that failed: {exit}");
        Ok("the next owner was told, and repaired".to_owned())
    })?;
    Ok("the next owner is told".to_owned())
}

/// Who takes the lock and does not repair.
fn unrepaired(accounts: &Array<i64>) -> Result<String> {
    let told = accounts.lock().map(|held| held.to_vec());
    ensure!(matches!(told, Err(Error::OwnerDied)), "got {told:?}");
    let refused = accounts.lock().map(|held| held.to_vec());
    let right = matches!(refused, Err(Error::NotRecoverable));
    ensure!(right, "after no repair, got {refused:?}");
    Ok("the next owner was told, and all were refused".to_owned())
}

/// A process that holds what `acquire` returns, until it is killed.
pub fn holder<G>(acquire: impl FnOnce() -> Result<G> + Send) -> Result<Process> {
    let (mut acquired, mut writer) = io::pipe().context("make a pipe")?;
    let holder = fork(|| {
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
