//! Give each task a context of its own, a copy made when the task is created.
//!
//! Python:  `asyncio.create_task`, which copies the context; `client_addr_var` of the notes' echo server
//! Differs: tokio's tasks have no context, so wrap each task: `spawn(in_context(f))`. The context moves with its
//!          task from thread to thread. Cleanup is a destructor, and sees the task's values, too.
//! Order:   on this one thread every task runs up to its `yield_now` before the first one goes on.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! contextvars = "0.1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use std::future::pending;
use std::io::{self, Write};

use anyhow::{Context, Result, ensure};
use contextvars::{ContextVar, in_context};
use tokio::task::{JoinSet, yield_now};

static CLIENT: ContextVar<String> = ContextVar::new("client");

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    CLIENT.set("nobody".to_owned());
    let mut tasks = JoinSet::new();
    for n in 1..=2 {
        tasks.spawn(in_context(serve(n)));
    }
    let cancelled = tokio::spawn(in_context(serve_until_cancelled(3)));
    CLIENT.set("main".to_owned());
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }
    cancelled.abort();
    let ended = cancelled.await;
    ensure!(
        ended.is_err_and(|error| error.is_cancelled()),
        "the task was not cancelled"
    );
    println!("{}", goodbye()?);
    Ok(())
}

async fn serve(n: u32) -> Result<()> {
    println!("task {n} begins with client {}", CLIENT.get()?);
    CLIENT.set(n.to_string());
    yield_now().await; // The other tasks set their values meanwhile.
    println!("task {n}: {}", goodbye()?);
    Ok(())
}

async fn serve_until_cancelled(n: u32) -> Result<()> {
    println!("task {n} begins with client {}", CLIENT.get()?);
    CLIENT.set(n.to_string());
    let _cleanup = Cleanup(n);
    pending().await
}

/// Reads the client without getting it as an argument.
fn goodbye() -> Result<String> {
    Ok(format!("Good bye, client @ {}", CLIENT.get()?))
}

struct Cleanup(u32);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let goodbye = goodbye().unwrap_or_else(|error| error.to_string());
        writeln!(io::stdout(), "task {} is cancelled: {goodbye}", self.0).ok(); // A panic here may abort.
    }
}
