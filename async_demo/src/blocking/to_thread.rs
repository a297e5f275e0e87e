//! A blocking function runs in another thread while the loop goes on; it returns, fails, or outlives who waited for it.
//!
//! Python:  `await asyncio.to_thread(function, *args)`
//! Differs: `spawn_blocking` begins at once, where the coroutine that `to_thread` returns (the notes: a future) does
//!          nothing until it is awaited. Python's takes the context variables along; a task-local must be moved into
//!          the closure. In neither can the thread be cancelled: it ends by itself, and the runtime's end waits for
//!          it.
//! Order:   the function waits for a word from the loop, and so ends only if the loop is not blocked.
//! Linux:   `gettid`, the number that the kernel knows a thread by.
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
    // Dropped at this await, the result is lost; the function runs on.
    println!("it returned {}", call.await.context("it panicked")??);

    let (_, nothing) = mpsc::channel();
    let call = spawn_blocking(move || blocking(nothing));
    let failed = call.await.context("it panicked")?;
    println!("it failed: {}", failed.err().context("it did not")?);

    cannot_be_cancelled().await
}

fn blocking(told: Receiver<u32>) -> Result<u32> {
    let number = told.recv().ok().context("nobody tells anything")?;
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
        println!("the function ends all the same");
        ended.send(()).ok();
    });
    has_begun.await.context("wait for the function's begin")?;
    // The timeout drops the handle. To stop such a function, tell it: by a channel, or a flag that it looks at.
    ensure!(timeout(SECOND, call).await.is_err(), "it has ended");
    println!("nobody waits for it any more");
    go_on.send(()).context("let the function go on")?;
    has_ended.await.context("wait for the function's end")
}
