//! Get the smallest item first, and wait for room in a full queue.
//!
//! Python:  `asyncio.PriorityQueue(maxsize)`, `put_nowait` and `QueueFull`, items `(priority, data)`
//! Differs: items without an order do not compile; Python fails at the second one. Equal priorities keep no order, here and in
//!          Python: the rest of the tuple decides. A `put` that is cancelled while it waits has put nothing, and its item is
//!          dropped.
//! Order:   one thread runs both. The producer waits for room when main gets the first item, and main waits until the producer
//!          has used it.
//! Needs:   async_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;

use crate::async_queue::{PriorityQueue, QueueFull};

type Tasks = PriorityQueue<(u32, &'static str)>;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let tasks = [(3, "test"), (2, "write b"), (1, "design"), (2, "write a")];
    let queue = Arc::new(Tasks::new(tasks.len()));
    for task in tasks {
        queue.try_put(task)?;
    }
    match queue.try_put((4, "publish")) {
        Err(QueueFull((_, task))) => println!("{task}: the queue is full"),
        Ok(()) => bail!("the queue had more room than its size"),
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
