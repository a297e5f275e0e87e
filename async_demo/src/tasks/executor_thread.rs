//! One executor for the whole program, made by who needs it first; a coroutine of another loop awaits what it runs.
//!
//! Python:  `@singleton class DefaultAsyncTaskExecutor(Thread)`, `asyncio.wrap_future(concurrent_future)`
//! Differs: `LazyLock` makes it once, also when several threads come at once. A `static` is never dropped, so the end
//!          of `main` stops and joins it. The notes write `super.__init__` without its call, do not show their
//!          `singleton`, and never close the loop. Waiting in the executor's own thread is an error; Python's waits
//!          for ever.
//! Order:   each line is printed after what it tells of has been awaited.
//! Linux:   `gettid`, the number that the kernel knows a thread by.
//! Needs:   task_executor.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync"] }
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

    // A coroutine there waits for one here: awaiting its handle does not block this loop.
    let (answer, question) = oneshot::channel();
    let there = run_coro(question)?;
    let here = tokio::spawn(async { answer.send("the main loop went on while it waited") });
    println!("{}", there.await?.context("there is no answer")?);
    here.await?.ok().context("nobody wants the answer")?;

    let own = run_coro(async { anyhow::Ok(run_coro(async {})?.wait()) })?;
    let refused = own.await??.err().context("it was not refused")?;
    println!("refused: {refused}");

    spawn_blocking(stop).await.context("wait for the thread")?
}

/// The executor of this program.
fn executor() -> Result<&'static TaskExecutor, ExecutorError> {
    static EXECUTOR: LazyLock<Result<TaskExecutor, ExecutorError>> =
        LazyLock::new(TaskExecutor::started);
    EXECUTOR.as_ref().map_err(Clone::clone)
}

/// Dropping the handle loses the result; the coroutine runs to its end all the same.
fn run_coro<T: Send + 'static>(
    coro: impl Future<Output = T> + Send + 'static,
) -> Result<TaskHandle<T>, ExecutorError> {
    executor()?.submit(coro)
}

fn stop() -> Result<()> {
    executor()?.stop(Stop::Drain);
    executor()?.join()?;
    let refused = run_coro(async {}).err().context("it was not refused")?;
    println!("refused: {refused}");
    Ok(())
}
