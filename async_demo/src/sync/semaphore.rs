//! Let at most three of nine tasks run a section at the same time.
//!
//! Python:  `asyncio.Semaphore(3)`, `async with sem:`, `acquire()` and `release()`
//! Differs: `acquire` returns a permit, and dropping it releases it, also in a task that is cancelled. Python's explicit
//!          `release()` is `add_permits`, which can add too many without an error; bounded_semaphore refuses that.
//! Order:   one thread runs all tasks, so three have entered before the first one wakes. A leaving task lets the next one in.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
const PERMITS: u32 = 3;
const TASKS: u32 = 9;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let sem = Arc::new(Semaphore::new(PERMITS as usize));
    let mut tasks = JoinSet::new();
    for n in 1..=TASKS {
        tasks.spawn(task(n, Arc::clone(&sem)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }

    let permits = sem.acquire_many(PERMITS).await?;
    ensure!(sem.try_acquire().is_err(), "there were more permits");
    println!("main has all {PERMITS}: locked");
    drop(permits);

    sem.add_permits(1); // One that was never acquired.
    let permits = sem.acquire_many(PERMITS + 1).await?;
    let number = permits.num_permits();
    println!("one release too many: now there are {number}");
    Ok(())
}

async fn task(n: u32, sem: Arc<Semaphore>) -> Result<()> {
    let _permit = sem.acquire().await?;
    println!("task {n} enters");
    sleep(SECOND).await;
    println!("task {n} leaves");
    Ok(())
}
