//! Call a coroutine without awaiting it, and run another one from start to end.
//!
//! Python:  `main()`, which is a coroutine object; `asyncio.run(main())`
//! Differs: rustc warns "unused implementer of `Future` that must be used" where Python warns "was never awaited" at run time;
//!          `drop` makes it explicit. A future has no fixed address before it is pinned, so this prints its size: it holds the
//!          values that live across its awaits. The notes say that `run` works once in each thread. Only nesting is refused, here
//!          by a panic of `block_on`.
//! Order:   one coroutine runs at a time.
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
    println!("a coroutine of {} bytes", size_of_val(&coroutine));
    drop(coroutine);
    println!("it is dropped");
    run(self::coroutine())?;
    println!("again");
    run(self::coroutine())
}

async fn coroutine() {
    println!("hello");
    sleep(SECOND).await;
    println!("world");
}

/// Does what `#[tokio::main(flavor = "current_thread")]` does with an `async fn main`.
fn run(coroutine: impl Future<Output = ()>) -> Result<()> {
    let begun = Instant::now();
    let event_loop = Builder::new_current_thread().enable_time().build();
    event_loop.context("create the loop")?.block_on(coroutine);
    let took = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("{took:.6} seconds");
    Ok(())
}
