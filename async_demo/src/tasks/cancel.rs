//! Cancel tasks: in time, too early, too late, and one that refuses.
//!
//! Python:  `Task.cancel()`, `asyncio.CancelledError`, `Task.result()`
//! Differs: `abort` drops the future at its await. It throws nothing, so the task can neither refuse nor await in its cleanup,
//!          and it is not cancelled between two awaits. To let a task decide, ask it: through a `watch` channel, or tokio-util's
//!          `CancellationToken`.
//! Order:   a task notifies `main` when it has begun, and has ended when it is joined.
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
    println!("too late: {}", task.await.context("join a finished task")?);

    let (ask, asked) = watch::channel(false);
    let task = tokio::spawn(stubborn(asked)); // A question that comes early waits in the channel.
    ask.send(true).context("ask the stubborn one")?;
    println!("refused: {}", task.await.context("join the stubborn one")??);
    Ok(())
}

async fn cancel(task: JoinHandle<()>) -> Result<()> {
    task.abort();
    let ended = task.await.err();
    ensure!(
        ended.is_some_and(|error| error.is_cancelled()),
        "the task was not cancelled"
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
        writeln!(io::stdout(), "the sleeper cleans up").ok(); // A panic here may abort.
    }
}

async fn stubborn(mut asked: watch::Receiver<bool>) -> Result<&'static str> {
    println!("the stubborn one begins");
    let end = asked.wait_for(|asked| *asked).await;
    end.context("the asking end is gone")?;
    println!("the stubborn one is asked to end");
    yield_now().await; // It may await after that.
    Ok("a result all the same")
}
