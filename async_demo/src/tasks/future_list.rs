//! Five tasks set a future each; the results are printed in the order of the list, after the slowest has come.
//!
//! Python:  `future_list = [loop.create_future() for i in range(5)]`, `[await future for future in future_list]`
//! Differs: a future that somebody else sets is a `oneshot` channel. The tasks are joined at the end, because a task's
//!          error is seen by who awaits it, and by nobody else.
//! Order:   one thread runs all tasks, and their timers go off in the order of their times, however late; `main` awaits
//!          one result after the other, and prints when it has them all.
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
    let (mut tasks, mut futures) = (Vec::new(), Vec::new());
    for i in 0..5 {
        let (set_result, future) = oneshot::channel();
        tasks.push(tokio::spawn(task(i, 5 - i, set_result)));
        futures.push(future);
    }
    let mut results = Vec::new();
    for future in futures {
        results.push(future.await.context("wait for a result")?);
    }
    for result in results {
        println!("result: {result}");
    }
    for task in tasks {
        task.await.context("join a task")??;
    }
    Ok(())
}

async fn task(i: u32, block_time: u32, future: Sender<u32>) -> Result<()> {
    println!("任务{i}阻塞之前");
    sleep(SECOND * block_time).await;
    println!("任务{i}阻塞之后");
    let nobody = |_| anyhow!("nobody waits for result {i}");
    future.send(i).map_err(nobody)
}
