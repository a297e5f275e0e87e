//! Drop a task's handle: the task runs on, at the longest until the runtime ends.
//!
//! Python:  `asyncio.create_task(coro)` without a name for the task; `asyncio.run` cancels the tasks that are left
//! Differs: Python's loop holds tasks weakly, so a task without a reference may be collected while it waits; here the runtime
//!          owns them. When the runtime ends, it drops each task at its await, in any order. If the cleanup must await, ask
//!          the task to stop before that, as `cancel` does. With several threads, the runtime waits until each running
//!          task has reached an await.
//! Order:   main ends after the task has reported that it runs; the runtime is dropped after that.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "sync"] }
//! ```

use std::future::pending;
use std::io::{self, Write};

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (tell, runs) = oneshot::channel();
    drop(tokio::spawn(detached(tell)));
    println!("main has dropped the handle");
    runs.await.context("wait for the task")?;
    println!("main ends");
    Ok(())
}

async fn detached(runs: oneshot::Sender<()>) -> Result<()> {
    println!("the task runs");
    let _cleanup = Cleanup;
    runs.send(()).map_err(|()| anyhow!("main is gone"))?;
    pending().await // Dropped here, with the runtime.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the task cleans up").ok(); // A panic here may abort.
    }
}
