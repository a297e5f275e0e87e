//! The smallest item comes first, whenever it was put; a full queue refuses, or lets its producer wait.
//!
//! Python:  `asyncio.PriorityQueue(maxsize)`, `put_nowait` and `QueueFull`, items `(priority, data)`
//! Differs: what is compared is known when it is compiled, where Python fails at the second item that has no order. As
//!          with Python equal priorities keep no order: here the rest of the tuple decides.
//! Cancel:  a `put` that is dropped while it waits for room has put nothing; its item is gone with it.
//! Order:   one thread runs both. The producer waits for room when main gets the first, and main waits until it has
//!          used it.
//! Needs:   async_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;

use crate::async_queue::{PriorityQueue, QueueFull};

type Tasks = PriorityQueue<(u32, &'static str)>;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let queue = Arc::new(Tasks::new(4));
    for task in [(3, "test"), (2, "write b"), (1, "design"), (2, "write a")] {
        queue.try_put(task)?;
    }
    match queue.try_put((4, "publish")) {
        Err(QueueFull((_, task))) => println!("{task}: the queue is full"),
        Ok(()) => bail!("there was room for five"),
    }

    let begun = Arc::new(Notify::new());
    let producer = tokio::spawn(produce(Arc::clone(&queue), Arc::clone(&begun)));
    begun.notified().await;
    print_next(&queue).await;
    producer.await.context("wait for the producer")?;
    while !queue.is_empty() {
        print_next(&queue).await;
    }
    Ok(())
}

async fn produce(queue: Arc<Tasks>, begun: Arc<Notify>) {
    begun.notify_one();
    println!(
        "put 0 fix: {}",
        if queue.is_full() { "no room" } else { "room" }
    );
    queue.put((0, "fix")).await;
    println!("fix is in the queue");
}

async fn print_next(queue: &Tasks) {
    let (priority, task) = queue.get().await;
    println!("get {priority} {task}");
}
