//! A client of a manager is killed while it holds a lock, waits for a lock or waits for an item. Nothing is lost.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use multiprocessing_managers::{SyncManager, Value};

use crate::manager::{kill, start};
use crate::{LONG, each};

pub fn with_lock(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |_| {
        let lock = manager.lock()?;
        kill(start("lock", &manager, Value::from(&lock))?)?;
        ensure!(lock.acquire(true, Some(LONG))?, "the lock is lost");
        Ok("the next owner got it".to_owned())
    })?;
    Ok("the lock is released".to_owned())
}

pub fn with_rlock(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |_| {
        let lock = manager.rlock()?;
        kill(start("rlock", &manager, Value::from(&lock))?)?;
        ensure!(lock.acquire(true, Some(LONG))?, "the lock is lost");
        Ok("the next owner got it".to_owned())
    })?;
    Ok("the lock is released".to_owned())
}

pub fn in_acquire(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |round| {
        let lock = manager.lock()?;
        lock.acquire(true, None)?;
        let waiter = start("acquire", &manager, Value::from(&lock))?;
        wait(round);
        kill(waiter)?;
        lock.release()?;
        ensure!(
            lock.acquire(true, Some(LONG))?,
            "the dead waiter took the lock"
        );
        Ok("the next one got it".to_owned())
    })?;
    Ok("the dead waiter takes nothing".to_owned())
}

pub fn in_get(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |round| {
        let queue = manager.queue(0)?;
        let waiter = start("get", &manager, Value::from(&queue))?;
        wait(round);
        kill(waiter)?;
        queue.put(round)?;
        let item = queue.get_timeout(LONG)?;
        let item = item.context("the dead waiter took the item")?;
        ensure!(item == Value::from(round), "{item} came");
        Ok("the next one got it".to_owned())
    })?;
    Ok("the dead waiter takes nothing".to_owned())
}

/// Usually the client waits by then; sometimes it is only about to.
fn wait(round: u32) {
    thread::sleep(Duration::from_millis(u64::from(round) * 7 % 30));
}
