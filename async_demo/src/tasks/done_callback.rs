//! A function is called when a task is done, and given how it ended: with a result, an error, or cancelled.
//!
//! Python:  `Task.add_done_callback(callback)`, `Task.result()`, `Task.exception()`, `Task.cancelled()`
//! Differs: tokio has no callbacks: a second task awaits the first and calls. At the end of the first task itself the
//!          call would be lost when that is cancelled. The result is lent to the function and then handed on; what a
//!          task is cancelled by is its `AbortHandle`, because its handle is where it is awaited.
//! Order:   one after the other; the callbacks of a task are called in the order in which they were added.
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
        bail!("it did not fail");
    }

    let task = tokio::spawn(pending());
    let cancel = task.abort_handle();
    let called = add_done_callback(task, |ended| callback("cancelled", ended));
    cancel.abort();
    if called.await.context("join the callback")?.is_ok() {
        bail!("it was not cancelled");
    }
    println!("main ends");
    Ok(())
}

/// Calls the function when the task has ended, however it ends; at once when it has. Returns how it ended.
fn add_done_callback<T: Send + 'static>(
    task: JoinHandle<T>,
    callback: impl FnOnce(&Result<T, JoinError>) + Send + 'static,
) -> JoinHandle<Result<T, JoinError>> {
    tokio::spawn(async move {
        let ended = task.await; // Dropped here, with the loop: nobody is called. The task ends as well.
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
