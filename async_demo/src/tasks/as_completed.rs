//! Five tasks run at the same time, and `main` gets each result as soon as it is there: the shortest task's first.
//!
//! Python:  `for t in asyncio.as_completed(tasks): await t`, `loop.time()`
//! Differs: a `JoinSet` owns the tasks: dropped, it cancels them, where `as_completed` lets them run on. `join_next`
//!          loses nothing when it is dropped at its await. The loop has no clock of its own: `Instant` has no number,
//!          only a distance, so the times here count from the beginning.
//! Order:   the timers go off in the order of their times; behind them each task waits until the result before its own is
//!          printed, so nobody can have waited for all of them.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

/// Notified when the result of that number is printed.
type Printed = Arc<[Notify; 6]>;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Instant::now();
    let printed = Printed::default();
    printed[5].notify_one(); // No result comes before that of task 4.
    let task = |(i, block_time)| task(i, block_time, begun, Arc::clone(&printed));
    let mut tasks: JoinSet<_> = (0..5).zip((1..=5).rev()).map(task).collect();
    while let Some(t) = tasks.join_next().await {
        let result = t.context("join a task")?;
        println!("task return: {result}");
        printed[result].notify_one();
    }
    Ok(())
}

async fn task(i: usize, block_time: u32, begun: Instant, printed: Printed) -> usize {
    println!("任务{i}阻塞之前");
    sleep(SECOND * block_time).await;
    printed[i + 1].notified().await;
    println!("任务{i}阻塞之后");
    println!("loop time: {:.6}", begun.elapsed().as_secs_f64());
    i
}
