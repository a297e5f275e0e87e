//! Cancelling a task: its cleanup runs; too early it never begins, too late it has its result; and one that may refuse.
//!
//! Python:  `Task.cancel()`, `asyncio.CancelledError`, `Task.result()`
//! Differs: `abort` drops the future at the await it stands at. Nothing is thrown, so it can neither refuse nor await in its
//!          cleanup, and between two awaits it is not cancelled at all. A task that is to have a say is asked: a `watch`
//!          for one or many askers and tasks, as tokio-util's `CancellationToken`.
//! Order:   a task has begun when it has said so on a channel, and has ended when it is joined.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::future::pending;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, yield_now};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (tell, begun) = oneshot::channel();
    let task = tokio::spawn(sleeper(tell));
    begun.await.context("wait for the sleeper")?;
    cancel(task).await?;
    println!("the sleeper is cancelled");

    let (tell, begun) = oneshot::channel();
    let task = tokio::spawn(sleeper(tell));
    cancel(task).await?;
    ensure!(begun.await.is_err(), "it has begun");
    println!("another never began");

    let task = tokio::spawn(async { "result" });
    while !task.is_finished() {
        yield_now().await;
    }
    task.abort();
    println!(
        "too late: {}",
        task.await.context("join the one that is done")?
    );

    let (tell, begun) = oneshot::channel();
    let (ask, cancelled) = watch::channel(false);
    let task = tokio::spawn(stubborn(tell, cancelled));
    begun.await.context("wait for the stubborn one")?;
    ask.send(true).context("ask the stubborn one")?;
    println!("refused: {}", task.await.context("join the stubborn one")??);
    Ok(())
}

async fn cancel<T>(task: JoinHandle<T>) -> Result<()> {
    task.abort();
    let ended = task.await.err();
    ensure!(
        ended.is_some_and(|error| error.is_cancelled()),
        "not cancelled"
    );
    Ok(())
}

async fn sleeper(begun: oneshot::Sender<()>) -> Result<()> {
    println!("the sleeper begins");
    let _cleanup = Cleanup;
    begun.send(()).map_err(|()| anyhow!("nobody waits"))?;
    pending().await // Dropped here: the cleanup runs.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        println!("the sleeper cleans up");
    }
}

async fn stubborn(
    begun: oneshot::Sender<()>,
    mut cancelled: watch::Receiver<bool>,
) -> Result<&'static str> {
    println!("the stubborn one begins");
    begun.send(()).map_err(|()| anyhow!("nobody waits"))?;
    let asked = cancelled.wait_for(|cancelled| *cancelled).await;
    asked.context("nobody is left to ask")?;
    println!("the stubborn one is asked to end");
    yield_now().await; // What comes after may await.
    Ok("a result all the same")
}
