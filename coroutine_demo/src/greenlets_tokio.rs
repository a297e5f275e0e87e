//! Start one more endless tokio task each second, which stop only at an `.await`.
//!
//! Python:  `asyncio.create_task` in place of `gevent.spawn`
//! Differs: tokio's tasks run on all cores, and timers of the same millisecond fire in any order. So `watch` announces each
//!          round, and each task answers after it has printed.
//! Order:   as in greenlets, whose trace it shares.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! ```

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

const ROUNDS: u32 = 4;

#[tokio::main]
pub async fn main() -> Result<()> {
    let (round, _) = watch::channel(0);
    let (printed, mut answers) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    for count in 1..=ROUNDS {
        println!("new task count {count}");
        tasks.spawn(task(count, round.subscribe(), printed.clone()));
        round.send(count).context("begin a round")?;
        for _ in 0..count {
            answers.recv().await.context("wait for the tasks")?;
        }
        sleep(SECOND).await;
    }
    // Without a sender `changed` fails, so the endless tasks end.
    drop(round);
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task to end")??;
    }
    Ok(())
}

async fn task(
    count: u32,
    mut round: watch::Receiver<u32>,
    printed: mpsc::Sender<()>,
) -> Result<()> {
    while round.changed().await.is_ok() {
        println!("{count}");
        printed.send(()).await.context("answer")?;
    }
    Ok(())
}
