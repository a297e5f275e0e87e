//! Wait until the first task is done, the first one fails, or all are done.
//!
//! Python:  `done, pending = await asyncio.wait(aws, timeout=None, return_when=FIRST_COMPLETED)`
//! Differs: tokio-util's `JoinMap` holds the pending tasks by name, so `wait` moves the done ones out of it. A timeout
//!          cancels nothing, here and in Python. The notes say that `coro in done` is never true, because `wait` wrapped
//!          `coro` in a task; today `wait` refuses coroutines.
//! Order:   a task ends when main sends its result, so main knows which tasks are pending.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! tokio-util = { version = "0.7", features = ["join-map"] }
//! ```

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::task::JoinMap;

const SECOND: Duration = Duration::from_millis(100);

type Tasks = JoinMap<&'static str, Result<()>>;
type Done = Vec<(&'static str, Result<Result<()>, JoinError>)>;

enum ReturnWhen {
    FirstCompleted,
    FirstException,
    AllCompleted,
}
use ReturnWhen::{AllCompleted, FirstCompleted, FirstException};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (mut tasks, mut ends) = (Tasks::new(), BTreeMap::new());
    for name in ["early", "failing", "normal", "slow"] {
        let (set_end, end) = oneshot::channel();
        ends.insert(name, set_end);
        tasks.spawn(name, async { end.await.context("wait for the end")? });
    }
    let mut end = |name, result: Result<()>| {
        let end = ends.remove(name).context("there is no such task")?;
        end.send(result).map_err(|_| anyhow!("the task has ended"))
    };
    let mut done = Done::new();

    end("early", Ok(()))?;
    wait(&mut tasks, &mut done, FirstCompleted).await;
    show("FIRST_COMPLETED", &mut done, &tasks);

    end("normal", Ok(()))?;
    match timeout(SECOND, wait(&mut tasks, &mut done, FirstException)).await {
        Ok(()) => show("FIRST_EXCEPTION", &mut done, &tasks),
        Err(_) => show("timeout", &mut done, &tasks),
    }

    end("failing", Err(Error::msg("failed")))?;
    wait(&mut tasks, &mut done, FirstException).await;
    show("FIRST_EXCEPTION", &mut done, &tasks);

    // Ends the tasks that are left.
    for (_, set_end) in ends {
        let sent = set_end.send(Ok(()));
        sent.map_err(|_| anyhow!("the task has ended"))?;
    }
    wait(&mut tasks, &mut done, AllCompleted).await;
    show("ALL_COMPLETED", &mut done, &tasks);
    Ok(())
}

/// Moves ended tasks to `done` until one of them ends the wait, or none is pending. Cancelling it loses nothing.
async fn wait(tasks: &mut Tasks, done: &mut Done, return_when: ReturnWhen) {
    while let Some((name, result)) = tasks.join_next().await {
        let enough = match return_when {
            FirstCompleted => true,
            // As with Python, a cancelled task has not failed.
            FirstException => result
                .as_ref()
                .map_or_else(JoinError::is_panic, Result::is_err),
            AllCompleted => false,
        };
        done.push((name, result));
        if enough {
            break;
        }
    }
    // Other tasks may have ended meanwhile.
    done.extend(iter::from_fn(|| tasks.try_join_next()));
}

/// Prints the names, and empties `done` for the next wait.
fn show(what: &str, done: &mut Done, tasks: &Tasks) {
    let done = sorted(done.drain(..).map(|(name, _)| name));
    println!(
        "{what}: done [{done}], pending [{}]",
        sorted(tasks.keys().copied())
    );
}

fn sorted(names: impl Iterator<Item = &'static str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.join(", ")
}
