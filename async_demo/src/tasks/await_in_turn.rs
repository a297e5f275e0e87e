//! Await two coroutines in turn, so that their times add up.
//!
//! Python:  `await say_after(1, 'hello')`
//! Differs: nothing. Cancelling `main` at one of these awaits drops the awaited coroutine, which is a part of `main`, not a task.
//! Order:   the second coroutine begins after the first has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let started = Instant::now();
    println!("started");
    say_after(1, "hello").await;
    say_after(2, "world").await;
    let took = started.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("finished after {took:.6} seconds");
    Ok(())
}

async fn say_after(delay: u32, what: &str) {
    println!("{what} in {delay}");
    sleep(SECOND * delay).await;
    println!("{what}");
}
