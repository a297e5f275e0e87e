//! Five tasks run at the same time, and `main` gets each result as soon as it is there: the shortest task's first.
//!
//! Python:  `for t in asyncio.as_completed(tasks): await t`, `loop.time()`
//! Differs: a `JoinSet` owns the tasks: dropped, it cancels them, where `as_completed` lets them run on. `join_next`
//!          loses nothing when it is dropped at its await. The loop has no clock of its own: `Instant` has no number,
//!          only a distance, so the times here count from the beginning.
//! Order:   one thread runs all tasks, and their timers go off in the order of their times, however late; the set keeps
//!          this order. When several have ended at once, their results come after all of them.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Instant::now();
    let mut tasks: JoinSet<_> = (0..5).map(|i| task(i, 5 - i, begun)).collect();
    while let Some(t) = tasks.join_next().await {
        println!("task return: {}", t.context("join a task")?);
    }
    Ok(())
}

async fn task(i: u32, block_time: u32, begun: Instant) -> u32 {
    println!("任务{i}阻塞之前");
    sleep(SECOND * block_time).await;
    println!("任务{i}阻塞之后");
    println!("loop time: {:.6}", begun.elapsed().as_secs_f64());
    i
}
