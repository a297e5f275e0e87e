//! Waiting until the first task is done, the first has failed, or all are done: the done ones and the pending ones.
//!
//! Python:  `done, pending = await asyncio.wait(aws, timeout=None, return_when=FIRST_COMPLETED)`
//! Differs: tokio has no `wait`: `JoinSet::join_next` gives one after the other, and `TaskSet` the two sets. When the
//!          time is over nothing is cancelled, here as there. The notes are right that `coro in done` is never true,
//!          since `wait` made a task of it; now it refuses coroutines.
//! Order:   each task ends when main lets it, so what is pending is certain.
//! Needs:   task_set.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::task_set::{Done, ReturnWhen, TaskSet};

const SECOND: Duration = Duration::from_millis(100);

type Tasks = TaskSet<&'static str, (), Error>;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (mut tasks, mut ends) = (Tasks::new(), BTreeMap::new());
    for name in ["early", "failing", "normal", "slow"] {
        let (set_end, end) = oneshot::channel();
        ends.insert(name, set_end);
        let task = async { end.await.context("wait for the end")? };
        tasks.insert(name, tokio::spawn(task));
    }
    let mut end = |name, result: Result<()>| {
        let end = ends.remove(name).context("no such task")?;
        end.send(result).map_err(|_| anyhow!("the task is gone"))
    };

    end("early", Ok(()))?;
    let done = tasks.wait(ReturnWhen::FirstCompleted).await;
    show("FIRST_COMPLETED", done, &tasks);

    end("normal", Ok(()))?;
    match timeout(SECOND, tasks.wait(ReturnWhen::FirstException)).await {
        Ok(done) => show("FIRST_EXCEPTION", done, &tasks),
        Err(_) => show("timeout", tasks.take_done(), &tasks),
    }

    end("failing", Err(Error::msg("failed")))?;
    let done = tasks.wait(ReturnWhen::FirstException).await;
    show("FIRST_EXCEPTION", done, &tasks);

    end("slow", Ok(()))?;
    let done = tasks.wait(ReturnWhen::AllCompleted).await;
    show("ALL_COMPLETED", done, &tasks);
    Ok(())
}

fn show(what: &str, done: Vec<Done<&str, (), Error>>, tasks: &Tasks) {
    let done: Vec<_> = done.into_iter().map(|(name, _)| name).collect();
    let pending: Vec<_> = tasks.pending().copied().collect();
    println!(
        "{what}: done [{}], pending [{}]",
        done.join(", "),
        pending.join(", ")
    );
}
