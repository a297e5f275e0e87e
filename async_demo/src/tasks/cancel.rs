//! Cancelling a task: its cleanup runs; too early it never begins, too late it has its result; and one that may refuse.
//!
//! Python:  `Task.cancel()`, `asyncio.CancelledError`, `Task.result()`
//! Differs: `abort` drops the future at the await it stands at. Nothing is thrown, so it can neither refuse nor await
//!          in its cleanup, and between two awaits it is not cancelled at all. A task that is to have a say is asked: a
//!          `watch` for one or many askers and tasks, as tokio-util's `CancellationToken`.
//! Order:   a task has begun when it has notified `main`, and has ended when it is joined.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::future::pending;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, yield_now};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Arc::new(Notify::new());
    let task = tokio::spawn(sleeper(Arc::clone(&begun)));
    begun.notified().await;
    cancel(task).await?;
    println!("the sleeper is cancelled");

    cancel(tokio::spawn(sleeper(Arc::clone(&begun)))).await?;
    println!("another never began");

    let task = tokio::spawn(async { "result" });
    while !task.is_finished() {
        yield_now().await;
    }
    task.abort();
    println!("too late: {}", task.await.context("join a done one")?);

    let (ask, asked) = watch::channel(false);
    let task = tokio::spawn(stubborn(asked)); // Asked too early it is asked when it looks.
    ask.send(true).context("ask the stubborn one")?;
    println!("refused: {}", task.await.context("join the stubborn one")??);
    Ok(())
}

async fn cancel(task: JoinHandle<()>) -> Result<()> {
    task.abort();
    let ended = task.await.err();
    ensure!(
        ended.is_some_and(|error| error.is_cancelled()),
        "not cancelled"
    );
    Ok(())
}

async fn sleeper(begun: Arc<Notify>) {
    begun.notify_one();
    println!("the sleeper begins");
    let _cleanup = Cleanup;
    pending().await // Dropped here: the cleanup runs.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the sleeper cleans up").ok(); // A second panic would abort.
    }
}

async fn stubborn(mut asked: watch::Receiver<bool>) -> Result<&'static str> {
    println!("the stubborn one begins");
    let end = asked.wait_for(|asked| *asked).await;
    end.context("nobody is left to ask")?;
    println!("the stubborn one is asked to end");
    yield_now().await; // What comes after may await.
    Ok("a result all the same")
}
