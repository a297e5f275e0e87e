//! A task is cancelled, and with it what it awaits; what it awaits behind a shield runs on, and has its result.
//!
//! Python:  `res = await asyncio.shield(aw)`
//! Differs: a future that is awaited is a part of who awaits it; `spawn` makes a task of it, and that is the shield: to
//!          drop the handle cancels nothing. The result goes with the handle, so here the task sends it elsewhere.
//! Order:   a barrier: main cancels when the inner one has begun, and lets it go on when the outer one has ended.
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
use tokio::sync::{Barrier, oneshot};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let barrier = Arc::new(Barrier::new(2));
    let (sender, result) = oneshot::channel();
    cancel(inner(Arc::clone(&barrier), sender), &barrier).await?;
    ensure!(result.await.is_err(), "a result, though cancelled");
    println!("no result");

    let barrier = Arc::new(Barrier::new(2));
    let (sender, result) = oneshot::channel();
    let shield = tokio::spawn(inner(Arc::clone(&barrier), sender));
    let shielded = async { shield.await.context("join the inner one")? };
    cancel(shielded, &barrier).await?;
    barrier.wait().await;
    println!("result: {}", result.await.context("wait for the result")?);
    Ok(())
}

/// Awaits the future in a task, which is cancelled there.
async fn cancel<F>(awaited: F, barrier: &Barrier) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut outer = tokio::spawn(awaited);
    tokio::select! {
        biased;
        _ = barrier.wait() => outer.abort(),
        ended = &mut outer => return ended.context("it ended too early")?,
    }
    ensure!(
        outer.await.is_err_and(|error| error.is_cancelled()),
        "not cancelled"
    );
    println!("the outer one is cancelled");
    Ok(())
}

async fn inner(barrier: Arc<Barrier>, result: oneshot::Sender<u32>) -> Result<()> {
    println!("the inner one begins");
    let on_cancel = OnCancel;
    barrier.wait().await;
    barrier.wait().await; // Dropped here: nobody gets a result.
    mem::forget(on_cancel); // It was not cancelled.
    println!("the inner one ends");
    let nobody = |_| anyhow!("nobody waits for the result");
    result.send(42).map_err(nobody)
}

struct OnCancel;

impl Drop for OnCancel {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the inner one is cancelled").ok(); // A second panic would abort.
    }
}
