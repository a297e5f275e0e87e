//! Wait for an event that another task sets, clears and sets again.
//!
//! Python:  `asyncio.Event`, `wait()`, `set()`, `clear()`, `is_set()`
//! Differs: tokio has only parts: `Notify` has no flag, and `watch` loses a value that is replaced at once. The block has both, as
//!          in Python: `set` wakes every waiting task, even if the event is cleared at once. Cancelling a `wait`
//!          changes nothing.
//! Order:   one thread runs all tasks: a task that has dropped its sender is waiting when main goes on.
//! Needs:   async_event.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::async_event::Event;

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 3;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let event = Arc::new(Event::new());
    for clear in [false, true] {
        let (begins, mut begun) = channel(1);
        let mut tasks = JoinSet::new();
        for n in 1..=TASKS {
            tasks.spawn(waiter(n, Arc::clone(&event), begins.clone()));
        }
        drop(begins);
        begun.recv().await; // Returns when every task has dropped its sender.
        event.set();
        println!("main has set it");
        if clear {
            event.clear();
            println!("main has cleared it");
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("wait for a task")?;
        }
        println!("set: {}", event.is_set());
        event.clear();
    }
    let late = timeout(SECOND, event.wait()).await;
    ensure!(late.is_err(), "the event was set again");
    println!("main has waited too long");
    Ok(())
}

async fn waiter(n: u32, event: Arc<Event>, begins: Sender<()>) {
    println!("{n}: waiting for it ...");
    drop(begins);
    event.wait().await;
    println!("{n}: ... got it!");
}
