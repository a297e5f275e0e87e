//! Waiting until some of the tasks are done, the first, the first that fails, or all: the done ones and the pending ones.
//!
//! Python:  `done, pending = await asyncio.wait(aws, timeout=None, return_when=FIRST_COMPLETED)`
//! Differs: tokio has no `wait`: `JoinSet::join_next` gives one after the other, and where the two sets are wanted, they
//!          are these twenty lines. When the time is over nothing is cancelled, here as there. In the notes
//!          `coro in done` is never true, because `wait` makes a task of it; now it refuses coroutines.
//! Order:   each task ends when main lets it, so what is pending is certain.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync", "time"] }
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use std::{collections::BTreeMap, mem};

use anyhow::{Context, Error, Result, anyhow};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (mut tasks, mut ends) = (Tasks::default(), BTreeMap::new());
    for name in ["early", "failing", "normal", "slow"] {
        let (set_end, end) = oneshot::channel();
        ends.insert(name, set_end);
        let task = tokio::spawn(async { end.await.context("wait for the end")? });
        tasks.pending.push((name, task));
    }
    let mut end = |name, result: Result<()>| {
        let end = ends.remove(name).context("no such task")?;
        end.send(result).map_err(|_| anyhow!("the task is gone"))
    };
    end("early", Ok(()))?;
    tasks.wait(ReturnWhen::FirstCompleted).await;
    tasks.show("FIRST_COMPLETED");

    end("normal", Ok(()))?;
    let wait = tasks.wait(ReturnWhen::FirstException);
    let in_time = timeout(SECOND, wait).await.is_ok();
    tasks.show(if in_time {
        "FIRST_EXCEPTION"
    } else {
        "timeout"
    });

    end("failing", Err(Error::msg("failed")))?;
    tasks.wait(ReturnWhen::FirstException).await;
    tasks.show("FIRST_EXCEPTION");

    end("slow", Ok(()))?;
    tasks.wait(ReturnWhen::AllCompleted).await;
    tasks.show("ALL_COMPLETED");
    Ok(())
}

enum ReturnWhen {
    FirstCompleted,
    FirstException,
    AllCompleted,
}

#[derive(Default)]
struct Tasks {
    done: BTreeMap<&'static str, Result<()>>,
    pending: Vec<(&'static str, JoinHandle<Result<()>>)>,
}

impl Tasks {
    /// Dropped at its await it loses nothing: what has ended by then is in `done`, with its result.
    async fn wait(&mut self, return_when: ReturnWhen) {
        let enough = |done: &BTreeMap<_, Result<()>>| match return_when {
            ReturnWhen::FirstCompleted => !done.is_empty(),
            ReturnWhen::FirstException => done.values().any(Result::is_err),
            ReturnWhen::AllCompleted => false,
        };
        poll_fn(|context| {
            for (name, mut task) in mem::take(&mut self.pending) {
                match Pin::new(&mut task).poll(context) {
                    Poll::Pending => self.pending.push((name, task)),
                    Poll::Ready(ended) => {
                        let result = ended.context("join a task").flatten();
                        self.done.insert(name, result);
                    }
                }
            }
            if self.pending.is_empty() || enough(&self.done) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    fn show(&mut self, what: &str) {
        let done: Vec<_> = mem::take(&mut self.done).into_keys().collect();
        let pending: Vec<_> = self.pending.iter().map(|(name, _)| *name).collect();
        println!(
            "{what}: done [{}], pending [{}]",
            done.join(", "),
            pending.join(", ")
        );
    }
}
