//! One of three tasks fails: its error at once, the others run on; or all three results; or the others are cancelled.
//!
//! Python:  `asyncio.gather(*tasks, return_exceptions=False)`, `return_exceptions=True`, `asyncio.TaskGroup`
//! Differs: `try_join!` ends with the first error and drops what it was given: here borrowed handles, so the tasks run
//!          on; given the futures themselves, it would cancel them. A result that is an error is a value, so who awaits
//!          one handle after the other has them all. A `JoinSet` that is dropped cancels its tasks, but does not wait
//!          for them. A Python task can be awaited again and again; a handle that has returned its result panics then,
//!          so who goes on after an error must know which handles have not: here the barrier sees to that.
//! Order:   tasks 0 and 2 wait at a barrier: for main, after the error; for each other; for main, which never comes.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};
use tokio::try_join;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let barrier = Arc::new(Barrier::new(3));
    let [mut a, mut b, mut c] = [0, 1, 2].map(|i| tokio::spawn(task(i, Arc::clone(&barrier))));
    match try_join!(result(&mut a), result(&mut b), result(&mut c)) {
        Ok(results) => println!("results: {results:?}"),
        Err(error) => println!("gather raises: {error}"),
    }
    barrier.wait().await;
    let others = [result(&mut a).await?, result(&mut c).await?];
    println!("the others return: {others:?}");

    let barrier = Arc::new(Barrier::new(2));
    for mut task in [0, 1, 2].map(|i| tokio::spawn(task(i, Arc::clone(&barrier)))) {
        match result(&mut task).await {
            Ok(i) => println!("result: {i}"),
            Err(error) => println!("result: {error}"),
        }
    }

    let barrier = Arc::new(Barrier::new(3));
    let mut group: JoinSet<_> = (0..3).map(|i| task(i, Arc::clone(&barrier))).collect();
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

async fn task(i: u32, barrier: Arc<Barrier>) -> Result<u32> {
    ensure!(i != 1, "task {i} failed");
    let on_cancel = OnCancel(i);
    barrier.wait().await;
    mem::forget(on_cancel); // It was not cancelled.
    println!("task {i} ends");
    Ok(i)
}

struct OnCancel(u32);

impl Drop for OnCancel {
    fn drop(&mut self) {
        writeln!(io::stdout(), "task {} is cancelled", self.0).ok(); // A second panic would abort.
    }
}

/// Borrows the handle: whoever drops this future leaves the task running. If it had returned already, inside of
/// `try_join!`, its result is lost, and awaiting it again panics.
async fn result(task: &mut JoinHandle<Result<u32>>) -> Result<u32> {
    task.await.context("join a task")?
}
