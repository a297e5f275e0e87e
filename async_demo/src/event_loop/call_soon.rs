//! Callbacks run one after the other, in the order in which they were handed in; one that is cancelled does not.
//!
//! Python:  `loop.call_soon(callback, *args)`, `Handle.cancel()`
//! Differs: a closure takes its arguments along, so there is neither `*args` nor `functools.partial`. `cancel` says
//!          whether it came in time.
//! Tokio:   `tokio::spawn(async { ... })` on the current_thread runtime, whose queue keeps the order too; but a task
//!          is much more than a callback, and costs so.
//! Order:   what a callback hands in runs in the next round, behind all that was there before.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use anyhow::Result;

use crate::runtime::EventLoop;

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    for number in 1..=3 {
        event_loop.call_soon(move |event_loop| hello(event_loop, number))?;
    }
    let cancelled = event_loop.call_soon(|_| println!("never called"))?;
    cancelled.cancel();
    println!("handed in: 3, and one that was cancelled");
    event_loop.run_until_complete(async { println!("the task runs in its turn") })?;
    event_loop.close()?;
    Ok(())
}

/// The first and the second have a successor.
fn hello(event_loop: &EventLoop, number: u32) {
    println!("callback {number} runs");
    if number < 3 {
        let next = event_loop.call_soon(move |_| println!("the one that {number} handed in runs"));
        if let Err(error) = next {
            println!("callback {number}: {error}");
        }
    }
}
