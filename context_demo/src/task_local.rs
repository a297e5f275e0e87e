//! Set a value once for the length of a task with tokio's `task_local!`.
//!
//! Python:  a `ContextVar` that is set once, at the start of a task
//! Differs: there is no `set` and no copy: `scope` gives a future its value, and a task that it spawns begins without one.
//!          So there is no token, and no rule for `reset`. Use this where it is enough.
//! Order:   on this one thread every task runs up to its `yield_now` before the first one goes on.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```

use anyhow::{Context, Result};
use tokio::task::{JoinSet, yield_now};

tokio::task_local! {
    static CLIENT: u32;
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let mut tasks = JoinSet::new();
    for n in 1..=3 {
        tasks.spawn(CLIENT.scope(n, serve()));
    }
    let begun = tasks.len();
    while let Some(ended) = tasks.join_next().await {
        ended.context("wait for a task")??;
    }
    println!("main has joined {begun} tasks");
    Ok(())
}

async fn serve() -> Result<()> {
    println!("task {} begins", client()?);
    yield_now().await; // The other tasks begin meanwhile.
    println!("{}", goodbye()?);
    Ok(())
}

/// Reads the client without getting it as an argument.
fn goodbye() -> Result<String> {
    Ok(format!("Good bye, client @ {}", client()?))
}

fn client() -> Result<u32> {
    CLIENT.try_get().context("read the client of this task")
}
