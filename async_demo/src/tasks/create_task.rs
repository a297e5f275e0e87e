//! Run two tasks at the same time, and another one while `main` sleeps.
//!
//! Python:  `asyncio.create_task(say_after(1, 'hello'))`, `task.done()`
//! Differs: a task without a handle runs on. Python's loop holds tasks weakly, so such a task may be collected. On one thread
//!          tokio polls the future of `main` before all other ready tasks, whichever timer fired first. So `main` is
//!          spawned here: as a task it takes its turn, as in Python.
//! Order:   one thread runs all tasks, and timers fire in the order of their times.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    tokio::spawn(main_task()).await.context("join main")?
}

async fn main_task() -> Result<()> {
    let task1 = tokio::spawn(say_after(1, "hello"));
    let task2 = tokio::spawn(say_after(2, "world"));
    let started = Instant::now();
    println!("started");
    task1.await.context("join the first")?;
    task2.await.context("join the second")?;
    let took = started.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("finished after {took:.6} seconds");

    let task3 = tokio::spawn(say_after(1, "while main sleeps"));
    println!("main sleeps");
    sleep(5 * SECOND).await;
    ensure!(task3.is_finished(), "the task did not run");
    println!("main has slept, the task is done");
    task3.await.context("join the third")
}

async fn say_after(delay: u32, what: &str) {
    println!("{what} in {delay}");
    sleep(SECOND * delay).await;
    println!("{what}");
}
