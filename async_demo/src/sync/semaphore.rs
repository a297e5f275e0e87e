//! Nine tasks, of which at most three are inside at once, and three at once are.
//!
//! Python:  `asyncio.Semaphore(3)`, `async with sem:`, `acquire()` and `release()`
//! Differs: `acquire` gives a permit, which is released when it is dropped. What Python does with a `release()` of its
//!          own is `forget` and `add_permits`: with them a number grows, and nobody notices; see bounded_semaphore.
//! Cancel:  in `acquire` nothing is lost but the place in line; the permit of a cancelled task is released.
//! Order:   a task leaves when three are inside, which a barrier sees. Who they are is free.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync"] }
//! ```

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

#[tokio::main]
pub async fn main() -> Result<()> {
    let sem = Arc::new(Semaphore::new(3));
    let three = Arc::new(Barrier::new(3));
    let mut tasks = JoinSet::new();
    for n in 1..=9 {
        tasks.spawn(task(n, Arc::clone(&sem), Arc::clone(&three)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }

    let permits = sem.acquire_many(3).await?;
    ensure!(sem.try_acquire().is_err(), "there were more than three");
    println!("main has all three: locked");
    drop(permits);

    sem.add_permits(1); // Of nobody's.
    let permits = sem.acquire_many(4).await?;
    println!(
        "one release too many: now there are {}",
        permits.num_permits()
    );
    Ok(())
}

async fn task(n: u32, sem: Arc<Semaphore>, three: Arc<Barrier>) -> Result<()> {
    let _permit = sem.acquire().await?;
    println!("task {n} enters");
    three.wait().await;
    println!("task {n} leaves");
    Ok(())
}
