//! Share one executor thread in a program; await its work from another loop.
//!
//! Python:  `@singleton class DefaultAsyncTaskExecutor(Thread)`, `asyncio.wrap_future(concurrent_future)`
//! Differs: `LazyLock` creates the executor once, even if several threads use it at the same time. A `static` is never dropped,
//!          so `main` stops and joins it at its end. The notes write `super.__init__` without calling `super`, do not show
//!          their `singleton`, and never close the loop. Waiting on the executor's own thread is an error; Python's waits forever.
//! Order:   each line is printed after the work that it reports.
//! Platform: Linux (`gettid`)
//! Needs:   task_executor.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! rustix = { version = "1", features = ["thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync"] }
//! tokio-util = { version = "0.7", features = ["rt"] }
//! ```

use std::sync::LazyLock;

use anyhow::{Context, Result};
use rustix::thread::gettid;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::task_executor::{ExecutorError, Stop, TaskExecutor, TaskHandle};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let ran = run_coro(async { gettid() })?.await?;
    println!("main thread {} asked, thread {ran} ran it", gettid());

    let other = spawn_blocking(|| anyhow::Ok((gettid(), run_coro(async { gettid() })?.wait()?)));
    let (asked, ran) = other.await.context("wait for the thread")??;
    println!("another thread {asked} asked, thread {ran} ran it");

    // A coroutine there waits for one here. Awaiting its handle does not block this loop.
    let (answer, question) = oneshot::channel();
    let there = run_coro(question)?;
    let here = tokio::spawn(async { answer.send("the main loop went on while it waited") });
    println!("{}", there.await?.context("wait for the answer")?);
    here.await?.ok().context("the answer was not taken")?;

    let own = run_coro(async { anyhow::Ok(run_coro(async {})?.wait()) })?;
    let refused = own.await??.err().context("the call was not refused")?;
    println!("refused: {refused}");

    spawn_blocking(stop).await.context("wait for the thread")?
}

/// Returns the executor of this program, which the first caller creates.
fn executor() -> Result<&'static TaskExecutor, ExecutorError> {
    static EXECUTOR: LazyLock<Result<TaskExecutor, ExecutorError>> =
        LazyLock::new(TaskExecutor::started);
    EXECUTOR.as_ref().map_err(Clone::clone)
}

/// Runs the coroutine on the executor. Dropping the handle loses the result; the coroutine runs on.
fn run_coro<T: Send + 'static>(
    coro: impl Future<Output = T> + Send + 'static,
) -> Result<TaskHandle<T>, ExecutorError> {
    executor()?.submit(coro)
}

fn stop() -> Result<()> {
    executor()?.stop(Stop::Drain);
    executor()?.join()?;
    let refused = run_coro(async {})
        .err()
        .context("the call was not refused")?;
    println!("refused: {refused}");
    Ok(())
}
