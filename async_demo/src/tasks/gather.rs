//! Run five tasks at the same time, with results in the order of arguments.
//!
//! Python:  `asyncio.run(main())`, `await asyncio.gather(*tasks)`
//! Differs: a future does nothing by itself, so each becomes a task, and the list of their handles is the group. Dropping a
//!          handle lets its task run on; cancelling a `gather` cancels its tasks, as dropping a `JoinSet` does.
//! Order:   one thread runs all tasks, and timers fire in the order of their times. `main` awaits the handles in turn.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 5;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let task = |i| tokio::spawn(task(i, TASKS - i));
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    for task in tasks {
        println!("{}", task.await.context("wait for a task")?);
    }
    Ok(())
}

async fn task(i: u32, block_time: u32) -> u32 {
    println!("任务{i}阻塞之前");
    sleep(SECOND * block_time).await;
    println!("任务{i}阻塞之后");
    i
}
