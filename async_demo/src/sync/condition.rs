//! Tasks wait until what a lock guards has changed; its owner notifies one of them, or all.
//!
//! Python:  `asyncio.Condition`, `async with cond:`, `await cond.wait()`, `wait_for`, `notify(n)`, `notify_all()`
//! Differs: tokio has none; the block's guard is the only one who can wait and notify. Wait with a predicate, as a task
//!          may find that another one was quicker.
//! Notes:   nobody notifies there, so their `wait` waits for ever. Here the first one does so too, with a time limit.
//! Cancel:  a `wait` that is dropped does not get the lock back, unlike Python's; its notification goes to the next.
//! Order:   main gives one ticket when all three wait, waits for the task that takes it, and then gives the other two.
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

#[derive(Default)]
struct Office {
    waiting: u32,
    tickets: u32,
}

#[tokio::main]
pub async fn main() -> Result<()> {
    let office = Arc::new(Condition::new(Office::default()));
    let begun = Instant::now();
    let nobody = timeout(SECOND, office.lock().await.wait()).await;
    ensure!(nobody.is_err(), "somebody has notified");
    let waited = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("nobody notified in {waited:.6} seconds");

    let mut tasks = JoinSet::new();
    for n in 1..=3 {
        tasks.spawn(take(n, Arc::clone(&office)));
    }
    let all_wait = office.lock().await.wait_for(|office| office.waiting == 3);
    give(all_wait.await, 1);
    let first = tasks.join_next().await.context("nobody waits")??;
    println!("task {first} was first");
    give(office.lock().await, 2);
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
    office.notify_all(); // Main is one of those who wait, and may not be the first.
    println!("task {n} waits");
    let mut office = office.wait_for(|office| office.tickets > 0).await;
    office.tickets -= 1;
    println!("task {n} has a ticket");
    n
}
