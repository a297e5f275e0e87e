//! All tasks are made by one function, which counts them, and sees the end of each, also of one that is cancelled.
//!
//! Python:  `loop.set_task_factory(factory)`, `get_task_factory`
//! Differs: tokio has nothing to set: a program has a `spawn` of its own and calls it instead of tokio's, so a
//!          library's tasks do not come here. The runtime's hooks (`Builder::on_task_spawn`, `on_task_terminate`) see
//!          all, but cannot change the future, and are not stable: they need `--cfg tokio_unstable`.
//! Order:   a task is over when its future is dropped; its handle is ready after that.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::future::pending;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

static MADE: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let first = spawn("returns", async { 42 });
    println!("the first returned {}", first.await.context("the first")?);
    let second = spawn("waits for ever", pending::<()>());
    tokio::task::yield_now().await; // So that it has begun.
    second.abort();
    if second.await.is_err_and(|error| error.is_cancelled()) {
        println!("the second was cancelled");
    }
    let (made, over) = (MADE.load(Ordering::Relaxed), OVER.load(Ordering::Relaxed));
    println!("made: {made}, over: {over}");
    Ok(())
}

/// The factory: what `tokio::spawn` does, and more.
fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
    println!("task {number} is made: {name}");
    let over = Over(number);
    tokio::spawn(async move {
        let _over = over;
        future.await
    })
}

/// Is dropped with the future, however it ends.
struct Over(u32);

impl Drop for Over {
    fn drop(&mut self) {
        OVER.fetch_add(1, Ordering::Relaxed);
        writeln!(io::stdout(), "task {} is over", self.0).ok(); // A second panic would abort.
    }
}
