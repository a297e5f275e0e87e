//! tokio's own: a value that belongs to a future for as long as it runs, and cannot be set anew.
//!
//! Python:  a `ContextVar` that is set once, at the beginning of a task
//! Differs: there is no `set` and no copy: `scope` gives a future its value, and a task that it spawns begins without one.
//!          What is never set anew needs no token and no rules for `reset`; take this where it is enough.
//! Order:   a barrier, so that all have a value before one of them looks at its own.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync"] }
//! ```

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

tokio::task_local! {
    static CLIENT: u32;
}

#[tokio::main]
pub async fn main() -> Result<()> {
    let all_begun = Arc::new(Barrier::new(3));
    let mut tasks = JoinSet::new();
    for n in 1..=3 {
        tasks.spawn(CLIENT.scope(n, serve(Arc::clone(&all_begun))));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }
    println!("main has joined 3 tasks");
    Ok(())
}

async fn serve(all_begun: Arc<Barrier>) -> Result<()> {
    println!("task {} begins", client()?);
    all_begun.wait().await;
    println!("{}", goodbye()?);
    Ok(())
}

/// Knows the client without being told.
fn goodbye() -> Result<String> {
    Ok(format!("Good bye, client @ {}", client()?))
}

fn client() -> Result<u32> {
    CLIENT.try_get().context("no client in this task")
}
