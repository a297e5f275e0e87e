//! Pass the value as an argument, which is enough for most programs.
//!
//! Python:  an argument, where a `ContextVar` would hide it
//! Differs: the compiler checks that every function that needs the value gets it. No call can fail because it is not set.
//! Order:   as in task_local, whose trace it shares.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use anyhow::{Context, Result};
use tokio::task::{JoinSet, yield_now};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let mut tasks = JoinSet::new();
    for client in 1..=3 {
        tasks.spawn(serve(client));
    }
    let begun = tasks.len();
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")?;
    }
    println!("main has joined {begun} tasks");
    Ok(())
}

async fn serve(client: u32) {
    println!("task {client} begins");
    yield_now().await; // The other tasks begin meanwhile.
    println!("{}", goodbye(client));
}

fn goodbye(client: u32) -> String {
    format!("Good bye, client @ {client}")
}
