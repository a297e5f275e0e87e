//! Let one of several tasks fail: the others run on, or are cancelled.
//!
//! Python:  `asyncio.gather(*tasks, return_exceptions=False)`, `return_exceptions=True`, `asyncio.TaskGroup`
//! Differs: a `JoinSet` returns each result once, as soon as it is ready, so after an error the other tasks can still be
//!          joined. Its owner decides: join the rest (`gather`), or call `abort_all` first (`TaskGroup`). Dropping the
//!          set cancels the rest, but does not wait for it. An error is a value, so awaiting the handles in turn returns
//!          all results (`return_exceptions=True`).
//! Order:   one thread runs all tasks. The failing one does not sleep, so main has its error before another one wakes.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::io::{self, Write};
use std::mem;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 3;
const FAILING: u32 = 1;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let mut tasks: JoinSet<_> = (0..TASKS).map(task).collect();
    let mut others = vec![];
    while let Some(ended) = tasks.join_next().await {
        match ended.context("join a task")? {
            Ok(i) => others.push(i),
            Err(error) => println!("gather raises: {error}"),
        }
    }
    others.sort_unstable();
    println!("the others return: {others:?}");

    let tasks: Vec<_> = (0..TASKS).map(|i| tokio::spawn(task(i))).collect();
    for task in tasks {
        match task.await.context("join a task")? {
            Ok(i) => println!("result: {i}"),
            Err(error) => println!("result: {error}"),
        }
    }

    let mut group: JoinSet<_> = (0..TASKS).map(task).collect();
    while let Some(ended) = group.join_next().await {
        match ended {
            Ok(Err(error)) => {
                println!("group: {error}");
                group.abort_all();
            }
            Err(error) if error.is_cancelled() => {}
            ended => println!("group: {}", ended.context("join a task")??),
        }
    }
    println!("the group has ended");
    Ok(())
}

async fn task(i: u32) -> Result<u32> {
    ensure!(i != FAILING, "task {i} failed");
    let on_cancel = OnCancel(i);
    sleep(2 * SECOND).await;
    mem::forget(on_cancel); // It was not cancelled.
    println!("task {i} ends");
    Ok(i)
}

struct OnCancel(u32);

impl Drop for OnCancel {
    fn drop(&mut self) {
        writeln!(io::stdout(), "task {} is cancelled", self.0).ok(); // A panic here may abort.
    }
}
