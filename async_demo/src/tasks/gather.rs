//! Five tasks run at the same time: they end in the opposite order, and the results come in the order of the arguments.
//!
//! Python:  `asyncio.run(main())`, `await asyncio.gather(*tasks)`
//! Differs: a future that is only held does nothing, so each becomes a task; the list of their handles is the group.
//!          A handle that is dropped lets its task run on, where cancelling a `gather` cancels what it waits for; who
//!          wants that takes a `JoinSet`.
//! Order:   one thread runs all tasks. Timers go off in the order of their times, however late, and their tasks go on
//!          in this order; `main` awaits the handles one after the other.
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

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let tasks: Vec<_> = (0..5).map(|i| tokio::spawn(task(i, 5 - i))).collect();
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
