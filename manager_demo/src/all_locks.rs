//! Wait for another process with each lock, semaphore, Condition, Event, Barrier.
//!
//! Python:  `Lock`, `RLock`, `Semaphore`, `BoundedSemaphore`, `Condition`, `Event`, `Barrier` of a `Manager()`
//! Differs: a guard releases a lock. The server releases the locks of a killed client; CPython's stay locked. The barrier
//!          has a time limit, in case the other process is killed.
//! Order:   the two processes meet at the barrier before one checks what the other has done. The parent prints its last
//!          line after the child has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! multiprocessing-managers = "0.1"
//! ```

use std::time::Duration;
use std::vec::IntoIter;
use std::{fs::File, io};

use anyhow::{Context, Result, ensure};
use multiproc::{init, reduction::Fd, spawn, target};
use multiprocessing_managers::*;

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

pub fn main() -> Result<()> {
    init([target(child)]);
    let manager = SyncManager::start()?;
    let lock = manager.lock()?;
    let rlock = manager.rlock()?;
    let semaphore = manager.semaphore(2)?;
    let bounded = manager.bounded_semaphore(1)?;
    let condition = manager.condition()?;
    let event = manager.event()?;
    let barrier = manager.barrier(2, LIMIT)?;
    let held = lock.lock()?;
    let (outer, inner) = (rlock.lock()?, rlock.lock()?);
    semaphore.acquire(true, None)?;
    bounded.acquire(true, None)?;
    let (reader, writer) = io::pipe().context("make a pipe")?;
    let child = spawn(child, Fd::from(reader))?;
    let all: [&Proxy; 7] = [
        &lock, &rlock, &semaphore, &bounded, &condition, &event, &barrier,
    ];
    manager.hand_over(writer, all.map(Value::from))?;
    let meet = || barrier.wait(None).context("meet the child");
    meet()?; // The child has not got the lock.
    held.release()?;
    inner.release()?;
    meet()?; // The RLock has been acquired once more than released.
    meet()?; // The child has not got the RLock.
    outer.release()?;
    meet()?; // The child has the condition, and waits.
    let held = condition.lock()?;
    condition.notify(1)?;
    held.release()?;
    meet()?; // The child has seen that the event is not set.
    event.set()?;
    let place = meet()?;
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!(
        "Barrier: the parent came as number {place} of {}",
        barrier.parties()?
    );
    Ok(())
}

fn child(pipe: Fd) -> Result<()> {
    let (manager, handed) = Manager::take_over(File::from(pipe.into_inner()))?;
    let mut handed = handed.into_iter();
    let lock: LockProxy = next(&manager, &mut handed)?;
    let rlock: RLockProxy = next(&manager, &mut handed)?;
    let semaphore: SemaphoreProxy = next(&manager, &mut handed)?;
    let bounded: SemaphoreProxy = next(&manager, &mut handed)?;
    let condition: ConditionProxy = next(&manager, &mut handed)?;
    let event: EventProxy = next(&manager, &mut handed)?;
    let barrier: BarrierProxy = next(&manager, &mut handed)?;
    let meet = || barrier.wait(None).context("meet the parent");
    let taken = lock.acquire(false, None)?;
    meet()?;
    println!(
        "Lock: held {}, free {}",
        word(taken),
        word(lock.acquire(true, None)?)
    );
    meet()?;
    let taken = rlock.acquire(false, None)?;
    meet()?;
    let both = rlock.acquire(true, None)? && rlock.acquire(false, None)?;
    println!(
        "RLock: held once of twice {}, free {} twice",
        word(taken),
        word(both)
    );
    let [second, third] = [
        semaphore.acquire(false, None)?,
        semaphore.acquire(false, None)?,
    ];
    println!("Semaphore: second {}, third {}", word(second), word(third));
    bounded.release()?;
    let error = bounded.release().err().context("it was released twice")?;
    println!("BoundedSemaphore: {error}");
    condition.acquire(true, None)?;
    meet()?;
    println!("Condition: notified {}", word(condition.wait(LIMIT)?));
    condition.release()?;
    let before = event.is_set()?;
    meet()?;
    println!(
        "Event: before {}, then {}",
        word(before),
        word(event.wait(LIMIT)?)
    );
    println!(
        "Barrier: the child came as number {} of {}",
        meet()?,
        barrier.parties()?
    );
    Ok(())
}

/// Shows the flag as Python does.
fn word(flag: bool) -> Value {
    flag.into()
}

/// Returns the next object that the parent has handed over.
fn next<P: From<Proxy>>(manager: &Manager, handed: &mut IntoIter<Value>) -> Result<P> {
    let value = handed.next().context("the parent handed over too few")?;
    Ok(manager.attach(&value)?.into())
}
