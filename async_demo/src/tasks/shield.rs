//! Shield a future from the cancellation of the task that awaits it.
//!
//! Python:  `res = await asyncio.shield(aw)`
//! Differs: an awaited future is a part of the task that awaits it. `spawn` makes it a task of its own, which is the
//!          shield: dropping the handle does not cancel it. A dropped handle loses the result, so the task sends it.
//! Order:   main cancels after the inner future has begun, and lets it go on after the outer task has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::sync::{Notify, oneshot};

/// For the demonstration: with sleeps in their place, the order would depend on the machine.
#[derive(Default)]
struct Steps {
    begun: Notify,
    go_on: Notify,
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let steps = Arc::new(Steps::default());
    let (sender, result) = oneshot::channel();
    cancel(inner(Arc::clone(&steps), sender), &steps).await?;
    ensure!(result.await.is_err(), "the cancelled future sent a result");
    println!("no result");

    let steps = Arc::new(Steps::default());
    let (sender, result) = oneshot::channel();
    let shield = tokio::spawn(inner(Arc::clone(&steps), sender));
    let shielded = async { shield.await.context("join the inner task")? };
    cancel(shielded, &steps).await?;
    println!("result: {}", result.await.context("wait for the result")?);
    Ok(())
}

/// Awaits the future in a task, and cancels that task.
async fn cancel<F>(awaited: F, steps: &Steps) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut outer = tokio::spawn(awaited);
    tokio::select! {
        () = steps.begun.notified() => outer.abort(),
        ended = &mut outer => return ended.context("the outer task ended too early")?,
    }
    let ended = outer.await;
    ensure!(
        ended.is_err_and(|error| error.is_cancelled()),
        "the outer task was not cancelled"
    );
    println!("the outer one is cancelled");
    steps.go_on.notify_one();
    Ok(())
}

async fn inner(steps: Arc<Steps>, result: oneshot::Sender<u32>) -> Result<()> {
    println!("the inner one begins");
    let on_cancel = OnCancel;
    steps.begun.notify_one();
    steps.go_on.notified().await; // Dropped here without a shield.
    mem::forget(on_cancel); // It was not cancelled.
    println!("the inner one ends");
    let sent = result.send(42);
    sent.map_err(|_| anyhow!("the waiter for the result is gone"))
}

struct OnCancel;

impl Drop for OnCancel {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the inner one is cancelled").ok(); // A panic here may abort.
    }
}
