//! Set timers after a delay or at a time, and cancel two of them.
//!
//! Python:  `loop.call_later(delay, f)`, `loop.call_at(when, f)`, `loop.time()`, `TimerHandle.cancelled()`
//! Differs: times are an `Instant` and a `Duration`, not floats. `cancel` returns `false` if the callback was already called;
//!          Python still marks the handle as cancelled. With tokio, use `sleep` and `sleep_until` in a task; dropping them or
//!          `JoinHandle::abort` cancels them.
//! Order:   timers fire in the order of their times; those of the same time in the order of their creation.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::runtime::EventLoop;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    let begun = event_loop.time();
    let long = event_loop.call_later(500 * SECOND, |_| println!("never called"))?;
    event_loop.call_later(4 * SECOND, move |event_loop| {
        event_loop.stop();
        say(begun, "stop");
    })?;
    let short = event_loop.call_later(3 * SECOND, |_| println!("never called"))?;
    event_loop.call_at(begun + 2 * SECOND, move |_| say(begun, "call_at"))?;
    event_loop.call_at(begun + 2 * SECOND, move |_| {
        say(begun, "call_at, the same time")
    })?;
    let first = event_loop.call_later(SECOND, move |_| {
        say(begun, "call_later");
        long.cancel();
        println!("cancelled long before its time: {}", yes(long.cancelled()));
    })?;
    event_loop.call_soon(move |_| println!("call_soon"))?;
    short.cancel();
    println!("cancelled before the loop runs: {}", yes(short.cancelled()));
    event_loop.run_forever()?;
    println!("called, so not cancelled: {}", yes(!first.cancelled()));
    event_loop.close()?;
    Ok(())
}

fn say(begun: Instant, what: &str) {
    let after = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("{what} after {after:.6} seconds");
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
