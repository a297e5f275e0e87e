//! Join tasks that return a result, return an error, panic, or are cancelled.
//!
//! Python:  `await task`, `task.result()`, which raise the task's exception or `asyncio.CancelledError`
//! Differs: an error is an ordinary result; a panic is a `JoinError`, and so is a cancellation. A panic's message is printed when
//!          it happens, also if the task is not awaited; Python prints "exception was never retrieved" when it collects the
//!          task. `resume_unwind(error.into_panic())` raises it again, as `await` does in Python.
//! Order:   main joins a task before it starts the next.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::any::Any;
use std::future::pending;
use std::panic;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    // Without this line a panic also prints its message on stderr, which would look like a crash here.
    panic::set_hook(Box::new(|_| {}));
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

/// Returns the text of a panic, which is a `&str` if it is constant, and a `String` if it was formatted.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let formatted = payload.downcast_ref::<String>().map(String::as_str);
    text.or(formatted).unwrap_or("a value of another type")
}

async fn parse(text: &str) -> Result<u32> {
    let error = || format!("{text} is not a number");
    text.parse().with_context(error)
}

/// Contains a mistake: it panics if the list is too short.
async fn nth(list: &[u32], n: usize) -> Result<u32> {
    Ok(list[n])
}
