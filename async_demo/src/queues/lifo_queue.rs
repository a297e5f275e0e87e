//! Get the last item first, and join the queue until all items are done.
//!
//! Python:  `asyncio.LifoQueue(maxsize)`, `get_nowait` and `QueueEmpty`, `qsize`, `full`, `task_done`, `join`
//! Differs: `get_nowait` is `try_get`: an empty queue is a result, and so is one `task_done` too many. Cancelling a `get` or a
//!          `join` loses nothing, so both can have a time limit.
//! Order:   one task puts and gets; another one reports the items as done before `join` returns.
//! Needs:   async_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::timeout;

use crate::async_queue::LifoQueue;

const SECOND: Duration = Duration::from_millis(100);
const SIZE: usize = 3;

#[tokio::main]
pub async fn main() -> Result<()> {
    let queue = Arc::new(LifoQueue::new(SIZE));
    for item in 0..SIZE {
        queue.put(item).await;
    }
    println!("{} items, full: {}", queue.len(), queue.is_full());
    println!("get {}", queue.get().await);
    queue.put(SIZE).await;
    let mut got = 1;
    while let Ok(item) = queue.try_get() {
        got += 1;
        println!("get {item}");
    }
    match timeout(SECOND, queue.get()).await {
        Err(_) => println!("nothing came in a second"),
        Ok(item) => bail!("item {item} was never put"),
    }

    let joined = timeout(SECOND, queue.join()).await;
    ensure!(joined.is_err(), "join returned before an item was done");
    println!("not all is done");
    let mut worker = tokio::spawn(work(Arc::clone(&queue), got));
    tokio::select! {
        biased;
        () = queue.join() => println!("joined"),
        // It has failed, so join would never return.
        ended = &mut worker => return ended.context("wait for the worker")?,
    }
    worker.await.context("wait for the worker")?
}

async fn work(queue: Arc<LifoQueue<usize>>, items: u32) -> Result<()> {
    for n in 1..=items {
        println!("done {n}");
        queue.task_done()?;
    }
    match queue.task_done() {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("one task_done too many was accepted"),
    }
    Ok(())
}
