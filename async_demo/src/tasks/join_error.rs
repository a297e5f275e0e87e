//! How a task ends: with a result, with an error, with a panic, or cancelled; who awaits it is told, and goes on.
//!
//! Python:  `await task`, `task.result()`, which raise the task's exception or `asyncio.CancelledError`
//! Differs: an error is a result like others; a panic is a `JoinError`, and so is a cancellation. The panic's message
//!          is on stderr when it happens, whether or not somebody awaits; Python's "exception was never retrieved"
//!          comes when the task is collected. `resume_unwind(error.into_panic())` is what `await` does in Python: it
//!          goes on here.
//! Order:   one is joined before the next begins.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::any::Any;
use std::future::pending;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    show(tokio::spawn(parse("42"))).await;
    show(tokio::spawn(parse("forty-two"))).await;
    show(tokio::spawn(nth(&[1, 2], 2))).await;
    let task = tokio::spawn(pending());
    task.abort();
    show(task).await;
    println!("main ends");
    Ok(())
}

async fn show(task: JoinHandle<Result<u32>>) {
    match task.await {
        Ok(Ok(result)) => println!("result: {result}"),
        Ok(Err(error)) => println!("error: {error}"),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => println!("panic: {}", message(&*payload)),
            Err(_) => println!("cancelled"),
        },
    }
}

/// What `panic!` was called with: a `&str` if it was a plain text, a `String` if it was made by formatting.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let made = payload.downcast_ref::<String>().map(String::as_str);
    text.or(made).unwrap_or("of unknown type")
}

async fn parse(text: &str) -> Result<u32> {
    let wrong = || format!("{text} is no number");
    text.parse().with_context(wrong)
}

/// A mistake in the program: it panics where the list is too short.
async fn nth(list: &[u32], n: usize) -> Result<u32> {
    Ok(list[n])
}
