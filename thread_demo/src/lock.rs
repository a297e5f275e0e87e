//! A lock: taken and given back, tried, waited for a limited time, and left behind by a thread that failed.
//!
//! Python:  `Lock()`, `acquire(blocking, timeout)`, `release()`, `with lock:`
//! Differs: the lock owns what it guards, and only its guard gives access; the end of the guard releases it, so one
//!          release too many cannot be written. Waiting with a time limit is parking_lot's: std's lock has none.
//! Notes:   a thread that panics with the guard *poisons* std's lock: the next owner is told that what it guards may be
//!          half changed, and decides. Python's `with lock:` releases it and tells nobody; parking_lot does the same.
//! Order:   the thread gets the lock when main has released it.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! ```

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    acquire()?;
    count()?;
    fail()
}

fn acquire() -> Result<()> {
    let lock = parking_lot::Mutex::new(());
    let guard = lock.lock();
    println!("main has the lock");
    ensure!(lock.try_lock().is_none(), "two have the lock");
    println!("main tried: the lock is taken");
    let begun = Instant::now();
    ensure!(lock.try_lock_for(SECOND).is_none(), "two have the lock");
    let waited = begun.elapsed().as_secs_f64();
    println!("main waited {waited:.6} seconds: the lock is taken");
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = lock.lock();
            println!("the thread has the lock");
        });
        thread::sleep(SECOND);
        println!("main releases the lock");
        drop(guard);
    });
    Ok(())
}

fn count() -> Result<()> {
    let counter = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    *counter.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            });
        }
    });
    println!("four threads counted to {}", counter.into_inner()?);
    Ok(())
}

fn fail() -> Result<()> {
    let accounts = Mutex::new([100, 0]);
    let joined = thread::scope(|scope| {
        let transfer = || {
            let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts[0] -= 30;
            println!("the thread fails with the lock");
            panic!("half of the transfer is done");
        };
        scope.spawn(transfer).join()
    });
    ensure!(joined.is_err(), "the thread did not fail");
    ensure!(accounts.is_poisoned(), "nobody was told");
    let accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    println!("main has the lock and finds {accounts:?}");
    Ok(())
}
