//! Tasks wait for an event that another sets; cleared, it can be waited for again.
//!
//! Python:  `asyncio.Event`, `wait()`, `set()`, `clear()`, `is_set()`
//! Differs: tokio has the parts only: `Notify` wakes and has no flag, `watch` has a value and loses one that is
//!          replaced at once. The block has both, as Python: who waits when it is set goes on, though it is cleared at
//!          once.
//! Cancel:  a `wait` that is dropped has changed nothing.
//! Order:   one thread runs all tasks: who has told main that it waits does so when main goes on.
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
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::async_event::Event;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let event = Arc::new(Event::new());
    for clear in [false, true] {
        let (begins, mut begun) = unbounded_channel();
        let mut tasks = JoinSet::new();
        for n in 1..=3 {
            tasks.spawn(waiter(n, Arc::clone(&event), begins.clone()));
        }
        for _ in 0..3 {
            begun.recv().await.context("nobody waits")?;
        }
        event.set();
        println!("main has set it");
        if clear {
            event.clear();
            println!("main has cleared it");
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("wait for a task")??;
        }
        println!("set: {}", event.is_set());
        event.clear();
    }
    let late = timeout(SECOND, event.wait()).await;
    ensure!(late.is_err(), "it is set, and nobody has done that");
    println!("main has waited for it in vain");
    Ok(())
}

async fn waiter(n: u32, event: Arc<Event>, begins: UnboundedSender<()>) -> Result<()> {
    begins.send(()).context("main has gone")?;
    println!("{n}: waiting for it ...");
    event.wait().await;
    println!("{n}: ... got it!");
    Ok(())
}
