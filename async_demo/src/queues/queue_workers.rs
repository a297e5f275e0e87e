//! Share items among workers, and cancel the workers when all items are done.
//!
//! Python:  `asyncio.Queue`, `put_nowait`, `get`, `task_done`, `await queue.join()`, `worker.cancel()`
//! Differs: a worker that fails would leave `join` waiting, so main waits for both: `select!` takes the first. A worker that is
//!          cancelled at its `get` loses nothing. At its `sleep` it would lose an item, but there it is never cancelled once
//!          `join` has returned.
//! Order:   a worker prints after `task_done`, when `join` may have returned. It is cancelled only at an await, and main waits
//!          for its end before it prints.
//! Needs:   async_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! fastrand = "2"
//! parking_lot = "0.13"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::async_queue::Queue;

const SECOND: Duration = Duration::from_millis(100);
const WORKERS: usize = 3;
const ITEMS: usize = 20;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let queue = Arc::new(Queue::new(0));
    let mut workers = JoinSet::new();
    for i in 0..WORKERS {
        workers.spawn(worker(format!("worker-{i}"), Arc::clone(&queue)));
    }
    let mut total_sleep_time = 0.0;
    for _ in 0..ITEMS {
        let sleep_for = 0.05 + 0.95 * fastrand::f64();
        total_sleep_time += sleep_for;
        queue.try_put(sleep_for)?;
    }

    let started_at = Instant::now();
    tokio::select! {
        () = queue.join() => {}
        Some(ended) = workers.join_next() => {
            ended.context("wait for a worker")??;
            bail!("a worker ended too early");
        }
    }
    let total_slept_for = started_at.elapsed().as_secs_f64() / SECOND.as_secs_f64();

    workers.abort_all();
    let mut cancelled = 0;
    while let Some(ended) = workers.join_next().await {
        match ended {
            Err(error) if error.is_cancelled() => cancelled += 1,
            ended => ended.context("wait for a worker")??,
        }
    }
    println!("====");
    println!("{cancelled} workers were cancelled");
    println!("{WORKERS} workers slept in parallel for {total_slept_for:.2} seconds");
    println!("total expected sleep time: {total_sleep_time:.2} seconds");
    Ok(())
}

async fn worker(name: String, queue: Arc<Queue<f64>>) -> Result<()> {
    loop {
        let sleep_for = queue.get().await;
        sleep(SECOND.mul_f64(sleep_for)).await;
        queue.task_done()?;
        println!("{name} has slept for {sleep_for:.2} seconds");
    }
}
