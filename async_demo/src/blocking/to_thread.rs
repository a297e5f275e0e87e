//! Run a blocking function in another thread while the loop goes on.
//!
//! Python:  `await asyncio.to_thread(function, *args)`
//! Differs: `spawn_blocking` begins at once; the coroutine that `to_thread` returns (the notes: a future) does nothing until it is
//!          awaited. `to_thread` copies the context variables; here, move a task-local into the closure. Neither can cancel
//!          the thread: it ends by itself, and the runtime waits for it when it shuts down.
//! Order:   the function waits for a message from the loop, so it ends only if the loop is not blocked.
//! Platform: Linux (`gettid`)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::gettid;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (tell, told) = mpsc::channel();
    let call = spawn_blocking(move || blocking(told));
    println!("the loop goes on in thread {}", gettid());
    tell.send(41).context("tell the function")?;
    // Cancelling this await loses the result; the function runs on.
    println!("it returned {}", call.await.context("join the function")??);

    let (_, nothing) = mpsc::channel();
    let call = spawn_blocking(move || blocking(nothing));
    let failed = call.await.context("join the function")?;
    println!(
        "it failed: {}",
        failed.err().context("the function did not fail")?
    );

    cannot_be_cancelled().await
}

fn blocking(told: Receiver<u32>) -> Result<u32> {
    let number = told.recv().ok().context("the loop sent nothing")?;
    println!("the function was told {number} in thread {}", gettid());
    Ok(number + 1)
}

async fn cannot_be_cancelled() -> Result<()> {
    let (go_on, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let call = spawn_blocking(move || {
        begun.send(()).ok();
        wait.recv().ok();
        println!("the function ends later");
        ended.send(()).ok();
    });
    has_begun
        .await
        .context("wait until the function has begun")?;
    // The timeout drops the handle. To stop such a function, use a channel or a flag that it checks.
    ensure!(
        timeout(SECOND, call).await.is_err(),
        "the function has ended too early"
    );
    println!("main stops waiting for it");
    go_on.send(()).context("let the function go on")?;
    has_ended.await.context("wait until the function has ended")
}
