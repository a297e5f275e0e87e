//! Create all tasks through one function that counts them and sees them end.
//!
//! Python:  `loop.set_task_factory(factory)`, `get_task_factory`
//! Differs: tokio has no task factory: a program calls its own `spawn`, which does not see a library's tasks. The runtime's
//!          hooks (`Builder::on_task_spawn`, `on_task_terminate`) see all tasks, but cannot change the future, and need
//!          `--cfg tokio_unstable`.
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

static CREATED: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let first = spawn("returns", async { 42 });
    println!(
        "the first returned {}",
        first.await.context("join the first task")?
    );
    let second = spawn("waits forever", pending::<()>());
    tokio::task::yield_now().await; // Lets it begin.
    second.abort();
    if second.await.is_err_and(|error| error.is_cancelled()) {
        println!("the second was cancelled");
    }
    let (created, over) = (
        CREATED.load(Ordering::Relaxed),
        OVER.load(Ordering::Relaxed),
    );
    println!("created: {created}, over: {over}");
    Ok(())
}

/// The factory: counts the task, and spawns it.
fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let number = CREATED.fetch_add(1, Ordering::Relaxed) + 1;
    println!("task {number} is created: {name}");
    let over = Over(number);
    tokio::spawn(async move {
        let _over = over;
        future.await
    })
}

/// Dropped with the future, in whatever way it ends.
struct Over(u32);

impl Drop for Over {
    fn drop(&mut self) {
        OVER.fetch_add(1, Ordering::Relaxed);
        writeln!(io::stdout(), "task {} is over", self.0).ok(); // A panic here may abort.
    }
}
