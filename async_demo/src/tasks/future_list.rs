//! Complete futures from other tasks, and collect the results in list order.
//!
//! Python:  `future_list = [loop.create_future() for i in range(5)]`, `[await future for future in future_list]`
//! Differs: such a future is a `oneshot` channel. `main` joins the tasks at the end, because only a join returns a task's error.
//! Order:   one thread runs all tasks, and timers fire in the order of their times. `main` awaits the results in turn, and
//!          prints them when it has them all.
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
const TASKS: u32 = 5;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (mut tasks, mut futures) = (Vec::new(), Vec::new());
    for i in 0..TASKS {
        let (set_result, future) = oneshot::channel();
        tasks.push(tokio::spawn(task(i, TASKS - i, set_result)));
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
    let sent = future.send(i);
    sent.map_err(|_| anyhow!("the waiter for result {i} is gone"))
}
