//! The item that was put last comes first; a queue says when it is full or empty, and when too much is done.
//!
//! Python:  `asyncio.LifoQueue(maxsize)`, `get_nowait` and `QueueEmpty`, `qsize`, `full`, `task_done`, `join`
//! Differs: `get_nowait` is `try_get`: being empty is a result, and so is one `task_done` too many.
//! Cancel:  a `get` that is dropped has taken nothing, and a `join` changes nothing: both can be waited for with a
//!          limit.
//! Order:   one task puts and gets; another reports as done what it is sent, before `join` returns.
//! Needs:   async_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::timeout;

use crate::async_queue::LifoQueue;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main]
pub async fn main() -> Result<()> {
    let queue = Arc::new(LifoQueue::new(3));
    for item in 0..3 {
        queue.put(item).await;
    }
    println!("{} items, full: {}", queue.len(), queue.is_full());
    println!("get {}", queue.get().await);
    queue.put(3).await;
    while let Ok(item) = queue.try_get() {
        println!("get {item}");
    }
    match timeout(SECOND, queue.get()).await {
        Err(_) => println!("nothing came in a second"),
        Ok(item) => bail!("{item} came from nowhere"),
    }

    let joined = timeout(SECOND, queue.join()).await;
    ensure!(joined.is_err(), "nothing is done yet");
    println!("not all is done");
    let mut worker = tokio::spawn(work(Arc::clone(&queue)));
    tokio::select! {
        biased;
        () = queue.join() => println!("joined"),
        // It has failed, and nobody is left to do the rest.
        ended = &mut worker => return ended.context("wait for the worker")?,
    }
    worker.await.context("wait for the worker")?
}

async fn work(queue: Arc<LifoQueue<u32>>) -> Result<()> {
    for n in 1..=4 {
        println!("done {n}");
        queue.task_done()?;
    }
    match queue.task_done() {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("nothing was left to be done, and nobody noticed"),
    }
    Ok(())
}
