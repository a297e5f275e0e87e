//! A client of a manager is killed while it holds a lock, or waits for one, or for an item: nothing is lost with it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::manager::Client;
use crate::managers::{SyncManager, Value};
use crate::{LONG, each};

pub fn with_lock(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |_| {
        let lock = manager.lock()?;
        Client::start("lock", &manager, Value::from(&lock))?.kill()?;
        ensure!(lock.acquire(true, Some(LONG))?, "the lock is lost");
        Ok("the next owner got it".to_owned())
    })?;
    Ok("the lock is given back".to_owned())
}

pub fn with_rlock(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |_| {
        let lock = manager.rlock()?;
        Client::start("rlock", &manager, Value::from(&lock))?.kill()?;
        ensure!(lock.acquire(true, Some(LONG))?, "the lock is lost");
        Ok("the next owner got it".to_owned())
    })?;
    Ok("the lock is given back".to_owned())
}

pub fn in_acquire(rounds: u32) -> Result<String> {
    let manager = SyncManager::start()?;
    each(rounds, |round| {
        let lock = manager.lock()?;
        lock.acquire(true, None)?;
        let waiter = Client::start("acquire", &manager, Value::from(&lock))?;
        wait(round);
        waiter.kill()?;
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
        let waiter = Client::start("get", &manager, Value::from(&queue))?;
        wait(round);
        waiter.kill()?;
        queue.put(round)?;
        let item = queue.get_timeout(LONG)?;
        let item = item.context("the dead waiter took the item")?;
        ensure!(item == Value::from(round), "{item} came");
        Ok("the next one got it".to_owned())
    })?;
    Ok("the dead waiter takes nothing".to_owned())
}

/// Mostly until it waits; sometimes it is about to.
fn wait(round: u32) {
    thread::sleep(Duration::from_millis(u64::from(round) * 7 % 30));
}
