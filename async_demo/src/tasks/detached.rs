//! A task whose handle is dropped runs on, and ends at the latest with the runtime, which cleans up after it.
//!
//! Python:  `asyncio.create_task(coro)` without a name for the task; `asyncio.run` cancels what is left
//! Differs: Python's loop holds tasks weakly, so one that nobody keeps may be collected while it waits; here the
//!          runtime owns them. At its end each is dropped at the await it stands at, in no certain order, and not
//!          asked: a cleanup that awaits needs a word before, as in `cancel`. With several threads, the end of the
//!          runtime waits until each task that is just running has come to an await.
//! Order:   main ends when the task has said that it runs; the runtime is dropped after that.
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
    runs.send(()).map_err(|()| anyhow!("nobody waits"))?;
    pending().await // Dropped here, with the runtime.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the task cleans up").ok(); // A second panic would abort.
    }
}
