//! Print each task's result as soon as it is there, the shortest task's first.
//!
//! Python:  `for t in asyncio.as_completed(tasks): await t`, `loop.time()`
//! Differs: a `JoinSet` owns its tasks: dropping it cancels them, where `as_completed` lets them run on. Cancelling
//!          `join_next` loses nothing. The loop has no clock, and an `Instant` is not a number: only differences are, so the
//!          times here count from the start.
//! Order:   timers fire in the order of their times. A task ends only after main has printed the result before its own.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 5;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Instant::now();
    // For the demonstration: on a busy machine, without the turns, two tasks could end before main prints.
    let turn = Arc::new(Semaphore::new(1));
    let task = |i| task(i, TASKS - i, begun, Arc::clone(&turn));
    let mut tasks: JoinSet<_> = (0..TASKS).map(task).collect();
    while let Some(t) = tasks.join_next().await {
        println!("task return: {}", t.context("join a task")??);
        turn.add_permits(1);
    }
    Ok(())
}

async fn task(i: u32, block_time: u32, begun: Instant, turn: Arc<Semaphore>) -> Result<u32> {
    println!("任务{i}阻塞之前");
    sleep(SECOND * block_time).await;
    turn.acquire().await.context("wait for a turn")?.forget();
    println!("任务{i}阻塞之后");
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("loop time: {seconds:.6}");
    Ok(i)
}
