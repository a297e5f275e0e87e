//! Wait until the data under a lock has changed; notify one waiter or all.
//!
//! Python:  `asyncio.Condition`, `async with cond:`, `await cond.wait()`, `wait_for`, `notify(n)`, `notify_all()`
//! Differs: tokio has no condition; only the block's guard can wait and notify. Wait with a predicate, because another task may
//!          change the data first. The notes never notify, so their `wait` never returns; the first one here has a time limit. A cancelled
//!          `wait` does not get the lock back, unlike Python's, and passes its notification on.
//! Order:   main gives one ticket when all tasks wait, joins the task that takes it, and then gives the other tickets.
//! Needs:   condition.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::condition::{Condition, ConditionGuard};

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 3;

#[derive(Default)]
struct Office {
    waiting: u32,
    tickets: u32,
}

#[tokio::main]
pub async fn main() -> Result<()> {
    let office = Arc::new(Condition::new(Office::default()));
    let begun = Instant::now();
    let notified = timeout(SECOND, office.lock().await.wait()).await;
    ensure!(notified.is_err(), "the wait was notified");
    let waited = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("no notification in {waited:.6} seconds");

    let mut tasks = JoinSet::new();
    for n in 1..=TASKS {
        tasks.spawn(take(n, Arc::clone(&office)));
    }
    let all_wait = office
        .lock()
        .await
        .wait_for(|office| office.waiting == TASKS);
    give(all_wait.await, 1);
    let first = tasks.join_next().await.context("join the first task")??;
    println!("task {first} was first");
    give(office.lock().await, TASKS - 1);
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")?;
    }
    println!("{} tickets are left", office.lock().await.tickets);
    Ok(())
}

fn give(mut office: ConditionGuard<Office>, n: u32) {
    office.tickets += n;
    println!("main gives {n}");
    if n == 1 {
        office.notify(1);
    } else {
        office.notify_all();
    }
}

async fn take(n: u32, office: Arc<Condition<Office>>) -> u32 {
    let mut office = office.lock().await;
    office.waiting += 1;
    office.notify_all(); // Main waits for this, and may not be the first in line.
    println!("task {n} waits");
    let mut office = office.wait_for(|office| office.tickets > 0).await;
    office.tickets -= 1;
    println!("task {n} has a ticket");
    n
}
