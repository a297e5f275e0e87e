//! Wait for two futures, whichever of them is completed first.
//!
//! Python:  `loop.create_future()`, `future.set_result(True)`, `await future`
//! Differs: such a future is a `oneshot` channel with two ends. `send` consumes its end, so it can be set only once. Dropping
//!          the sender wakes the receiver with an error; Python waits forever. `send` returns the value if the receiver is
//!          gone.
//! Order:   one thread runs all tasks. The timer of b fires first. A task that sets a result prints before the waiter goes on.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot::{self, Sender};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (set_all, future_all) = oneshot::channel();
    let all = tokio::spawn(all_task(set_all));
    if future_all.await.context("wait for all")? {
        println!("all task success");
    }
    all.await.context("join all")?
}

async fn all_task(future: Sender<bool>) -> Result<()> {
    let (set_a, future_a) = oneshot::channel();
    let (set_b, future_b) = oneshot::channel();
    let a = tokio::spawn(task_a(set_a));
    let b = tokio::spawn(task_b(set_b));
    // b completes first, but the program awaits a first. The channel keeps the result of b meanwhile.
    let result_a = future_a.await.context("wait for a")?;
    println!("get a result");
    let result_b = future_b.await.context("wait for b")?;
    println!("get b result");
    a.await.context("join a")??;
    b.await.context("join b")??;
    set_result(future, result_a && result_b)
}

async fn task_a(future: Sender<bool>) -> Result<()> {
    sleep(3 * SECOND).await;
    set_result(future, true)?;
    println!("task a complete.");
    Ok(())
}

async fn task_b(future: Sender<bool>) -> Result<()> {
    sleep(SECOND).await;
    set_result(future, true)?;
    println!("task b complete.");
    Ok(())
}

fn set_result(future: Sender<bool>, result: bool) -> Result<()> {
    let sent = future.send(result);
    sent.map_err(|_| anyhow!("the waiter for the result is gone"))
}
