//! Limit a wait, and cancel the future that is not done in time.
//!
//! Python:  `asyncio.wait_for(aw, timeout)`
//! Differs: `timeout` owns the future and drops it when the time is over. Its destructors have run when the error returns, but
//!          they cannot await. A task runs on when its handle is dropped, so abort and join it. A future that is ready when
//!          the time is over counts as done.
//! Order:   the quick future has an hour; the other futures never end.
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
    println!("in time: {}", answer.context("wait for the quick future")?);

    let begun = Instant::now();
    if timeout(SECOND, eternity("coroutine")).await.is_ok() {
        bail!("the endless future has ended");
    }
    let took = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("timeout after {took:.6} seconds");

    let mut task = tokio::spawn(eternity("task"));
    if timeout(SECOND, &mut task).await.is_ok() {
        bail!("the endless future has ended");
    }
    task.abort();
    let ended = task.await; // The cleanup runs when the task gets its turn.
    ensure!(
        ended.is_err_and(|error| error.is_cancelled()),
        "the task was not cancelled"
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
    println!("the {what} waits forever");
    pending().await // Dropped here.
}

struct Cleanup<'a>(&'a str);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        writeln!(io::stdout(), "the {} cleans up", self.0).ok(); // A panic here may abort.
    }
}
