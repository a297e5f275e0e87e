//! Hold a lock across awaits, and release it by cancelling the task.
//!
//! Python:  `asyncio.Lock`, `async with lock:`, `acquire()` and `release()` in `try ... finally`
//! Differs: the lock owns its data, and dropping the guard releases it, so releasing it twice does not compile. Without an await
//!          between lock and release, `std::sync::Mutex` is enough, and faster. A task that is cancelled in `lock` loses its
//!          place in the line. A task that is cancelled while it holds the guard leaves a change half done, without an error, so
//!          do not await in the middle of a change.
//! Order:   the sections run one at a time, in any order. main reads the data after the cancelled task has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main]
pub async fn main() -> Result<()> {
    let lock = Arc::new(Mutex::new(0));
    let guard = lock.lock().await;
    let mut tasks = JoinSet::new();
    for n in 1..=3 {
        tasks.spawn(count(n, Arc::clone(&lock)));
    }
    ensure!(lock.try_lock().is_err(), "main got the lock twice");
    let waited = timeout(SECOND, lock.lock()).await;
    ensure!(waited.is_err(), "main got the lock twice");
    println!("main waited too long and releases the lock");
    drop(guard);
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")?;
    }
    println!("counted to {}", lock.lock().await);
    cancel().await
}

async fn count(n: u32, lock: Arc<Mutex<u32>>) {
    let mut counter = lock.lock().await;
    println!("task {n} enters");
    for _ in 0..100 {
        let seen = *counter;
        yield_now().await;
        *counter = seen + 1;
    }
    println!("task {n} leaves");
}

async fn cancel() -> Result<()> {
    let accounts = Arc::new(Mutex::new([100, 0]));
    let half_done = Arc::new(Notify::new());
    let task = tokio::spawn(transfer(Arc::clone(&accounts), Arc::clone(&half_done)));
    half_done.notified().await;
    task.abort();
    let cancelled = task.await.is_err_and(|error| error.is_cancelled());
    ensure!(cancelled, "the task was not cancelled");
    println!("main has the lock and finds {:?}", accounts.lock().await);
    Ok(())
}

async fn transfer(accounts: Arc<Mutex<[i32; 2]>>, half_done: Arc<Notify>) {
    let mut accounts = accounts.lock().await;
    accounts[0] -= 30;
    println!("half of the transfer is done");
    half_done.notify_one();
    sleep(100 * SECOND).await;
    accounts[1] += 30;
}
