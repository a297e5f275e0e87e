//! The process that has acquired an RLock twice is killed. The next owner is told, and can acquire the lock twice as
//! well.

use anyhow::{Context, Result, bail, ensure};
use multiproc::synchronize::Acquired;
use multiproc::{Exit, LockError, RLock, fork};

use crate::each;
use crate::lock_holder_killed::holder;

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let lock = RLock::new()?;
        let holder = holder(|| Ok((lock.lock()?, lock.lock()?)))?;
        holder.kill()?;
        holder.join()?;
        match lock.acquire(true, None)? {
            Acquired::OwnerDied(held) => {
                held.repaired().context("repair")?;
                let _again = lock.lock().context("acquire it again")?;
            }
            _ => bail!("nobody was told that the owner died"),
        }
        let next = fork(|| -> Result<(), LockError> {
            let _held = (lock.lock()?, lock.lock()?);
            Ok(())
        })?;
        let exit = next.join()?;
        ensure!(exit == Exit::Code(0), "the owner after that failed: {exit}");
        Ok("the next owner was told".to_owned())
    })?;
    Ok("the next owner is told".to_owned())
}
