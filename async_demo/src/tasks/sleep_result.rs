//! Sleep and return a result, as a stand-in for work.
//!
//! Python:  `await asyncio.sleep(1, 'hello')`
//! Differs: `sleep` returns nothing; an async block with the sleep and the value does. A sleep never ends early, but may end a
//!          millisecond or two late, because tokio's timer counts milliseconds. `sleep(0)` is `yield_now()`. Cancelling it loses the
//!          result.
//! Order:   `join!` returns the results in the order of its arguments.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::join;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Instant::now();
    println!("{}", sleep_for(1, "hello").await);
    println!("after {:.6} seconds", seconds(begun));

    let begun = Instant::now();
    let (a, b, c) = join!(sleep_for(3, "a"), sleep_for(1, "b"), sleep_for(2, "c"));
    println!("{a}, {b}, {c}");
    println!("after {:.6} seconds", seconds(begun));
    Ok(())
}

async fn sleep_for<T>(delay: u32, result: T) -> T {
    sleep(SECOND * delay).await;
    result
}

fn seconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() / SECOND.as_secs_f64()
}
