//! What a Rust program should usually do instead: pass the value.
//!
//! Python:  an argument, where a `ContextVar` would hide it
//! Differs: the compiler sees who needs the value and that everyone gets it; no function can fail because it is not set.
//! Order:   as task_local, whose trace it shares.
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

#[tokio::main]
pub async fn main() -> Result<()> {
    let all_begun = Arc::new(Barrier::new(3));
    let mut tasks = JoinSet::new();
    for client in 1..=3 {
        tasks.spawn(serve(client, Arc::clone(&all_begun)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")?;
    }
    println!("main has joined 3 tasks");
    Ok(())
}

async fn serve(client: u32, all_begun: Arc<Barrier>) {
    println!("task {client} begins");
    all_begun.wait().await;
    println!("{}", goodbye(client));
}

fn goodbye(client: u32) -> String {
    format!("Good bye, client @ {client}")
}
