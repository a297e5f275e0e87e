//! Waiting with a limit: what is not done in time is cancelled, and cleans up before the waiting ends.
//!
//! Python:  `asyncio.wait_for(aw, timeout)`
//! Differs: `timeout` owns the future, and drops it when the time is over: its destructors have run when the error is
//!          there, but they cannot await. A task is not in its handle: dropping this lets it run on, so it is aborted
//!          and joined. The future gets a last chance: done and too late at once is done.
//! Order:   what is in time has an hour, and what is not never ends.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::future::pending;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let answer = timeout(3600 * SECOND, quick()).await;
    println!("in time: {}", answer.context("wait for the quick one")?);

    let begun = Instant::now();
    if timeout(SECOND, eternity("coroutine")).await.is_ok() {
        bail!("eternity is over");
    }
    let took = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("timeout after {took:.6} seconds");

    let mut task = tokio::spawn(eternity("task"));
    if timeout(SECOND, &mut task).await.is_ok() {
        bail!("eternity is over");
    }
    task.abort();
    let ended = task.await; // The cleanup runs when it is the task's turn.
    ensure!(
        ended.is_err_and(|error| error.is_cancelled()),
        "not cancelled"
    );
    println!("timeout");
    Ok(())
}

async fn quick() -> u32 {
    sleep(SECOND).await;
    42
}

async fn eternity(what: &str) {
    let _cleanup = Cleanup(what);
    println!("the {what} waits for ever");
    pending().await // Dropped here: nothing is lost but the waiting.
}

struct Cleanup<'a>(&'a str);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the {} cleans up", self.0).ok(); // A second panic would abort.
    }
}
