//! Call a function when a task ends, with its result, error or cancellation.
//!
//! Python:  `Task.add_done_callback(callback)`, `Task.result()`, `Task.exception()`, `Task.cancelled()`
//! Differs: tokio has no callbacks: a second task awaits the first one and calls the function. A call at the end of the first
//!          task itself would not happen if that task is cancelled. The function borrows the result, and the second task
//!          returns it. The second task owns the first one's handle, so use an `AbortHandle` to cancel the first.
//! Order:   the callbacks of a task are called in the order in which they were added.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::future::{pending, ready};

use anyhow::{Context, Error, Result, bail};
use tokio::task::{JoinError, JoinHandle};

type Ended = Result<Result<u32>, JoinError>;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let task = tokio::spawn(ready(Ok(42)));
    let called = add_done_callback(task, |ended| callback("first", ended));
    let called = add_done_callback(called, |ended| {
        if let Ok(ended) = ended {
            callback("second", ended);
        }
    });
    let ended = called.await.context("join the second callback")?;
    let result = ended.context("join the first callback")?;
    println!("result: {}", result.context("join the task")??);

    let task = tokio::spawn(ready(Err(Error::msg("no result"))));
    let called = add_done_callback(task, |ended| callback("failing", ended));
    if called
        .await
        .context("join the callback")?
        .context("join the task")?
        .is_ok()
    {
        bail!("the task did not fail");
    }

    let task = tokio::spawn(pending());
    let cancel = task.abort_handle();
    let called = add_done_callback(task, |ended| callback("cancelled", ended));
    cancel.abort();
    if called.await.context("join the callback")?.is_ok() {
        bail!("the task was not cancelled");
    }
    println!("main ends");
    Ok(())
}

/// Calls the function when the task has ended, in whatever way. The returned task has the result of the first one.
fn add_done_callback<T: Send + 'static>(
    task: JoinHandle<T>,
    callback: impl FnOnce(&Result<T, JoinError>) + Send + 'static,
) -> JoinHandle<Result<T, JoinError>> {
    tokio::spawn(async move {
        let ended = task.await; // Dropped here, with the loop, it calls nothing.
        callback(&ended);
        ended
    })
}

fn callback(name: &str, ended: &Ended) {
    match ended {
        Ok(Ok(result)) => println!("{name}: result {result}"),
        Ok(Err(error)) => println!("{name}: error {error}"),
        Err(error) if error.is_cancelled() => println!("{name}: cancelled"),
        Err(error) => println!("{name}: {error}"),
    }
}
