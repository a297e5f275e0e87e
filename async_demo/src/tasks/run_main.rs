//! A coroutine that is called and not awaited does nothing; `run` makes a loop, runs it, and closes the loop.
//!
//! Python:  `main()`, which is a coroutine object; `asyncio.run(main())`
//! Differs: rustc says "unused implementer of `Future` that must be used" where Python says "was never awaited" when it
//!          runs; `drop` says that it is meant. A future has no address to print before it is pinned, but it has a
//!          size: it holds what lives across its awaits. The notes say that `run` works once in each thread: only
//!          nesting is refused there, and by `block_on`, which panics.
//! Order:   nothing runs at the same time.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["rt", "time"] }
//! ```

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let coroutine = coroutine();
    println!("an object of {} bytes", size_of_val(&coroutine));
    drop(coroutine);
    println!("it is gone");
    run(self::coroutine())?;
    println!("again");
    run(self::coroutine())
}

async fn coroutine() {
    println!("hello");
    sleep(SECOND).await;
    println!("world");
}

/// What `#[tokio::main(flavor = "current_thread")]` makes of an `async fn main`.
fn run(coroutine: impl Future<Output = ()>) -> Result<()> {
    let begun = Instant::now();
    let event_loop = Builder::new_current_thread().enable_time().build();
    event_loop.context("make the loop")?.block_on(coroutine);
    let took = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("{took:.6} seconds");
    Ok(())
}
