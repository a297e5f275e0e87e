//! Take a lock, try it, wait for a limited time, and take it after a panic.
//!
//! Python:  `Lock()`, `acquire(blocking, timeout)`, `release()`, `with lock:`
//! Differs: the lock owns its data, and only the guard gives access. Dropping the guard releases the lock, so releasing it
//!          twice does not compile. std's lock has no time limit, so two functions use parking_lot's. A thread that
//!          panics with the guard *poisons* std's lock: the next owner learns that the data may be half changed, and
//!          decides. Python's `with lock:` and parking_lot release the lock silently.
//! Order:   the thread gets the lock after main has released it.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! ```

use std::time::{Duration, Instant};
use std::{panic, sync, thread};

use anyhow::{Result, bail, ensure};
use parking_lot::Mutex;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    acquire()?;
    count();
    fail()
}

fn acquire() -> Result<()> {
    let lock = Mutex::new(());
    let guard = lock.lock();
    println!("main has the lock");
    ensure!(lock.try_lock().is_none(), "the lock was free");
    println!("main tried: the lock is taken");
    let begun = Instant::now();
    ensure!(lock.try_lock_for(SECOND).is_none(), "the lock was free");
    let waited = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
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

fn count() {
    let counter = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    *counter.lock() += 1;
                }
            });
        }
    });
    println!("the threads counted to {}", counter.into_inner());
}

fn fail() -> Result<()> {
    // The hook prints a panic as output of this program, not as a crash.
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        println!("the thread panics with the lock: {message}");
    }));
    let accounts = sync::Mutex::new([100, 0]);
    let joined = thread::scope(|scope| {
        let transfer = || {
            let mut accounts = accounts.lock();
            if let Ok(accounts) = &mut accounts {
                accounts[0] -= 30;
            }
            panic!("half of the transfer is done");
        };
        scope.spawn(transfer).join()
    });
    ensure!(joined.is_err(), "the thread did not panic");
    match accounts.lock() {
        Ok(_) => bail!("the lock is not poisoned"),
        Err(poisoned) => println!("main has the lock and finds {:?}", poisoned.into_inner()),
    }
    Ok(())
}
