//! Call functions in the order of submission, and cancel one of them.
//!
//! Python:  `loop.call_soon(callback, *args)`, `Handle.cancel()`
//! Differs: a closure captures its arguments, so there is neither `*args` nor `functools.partial`. `cancel` returns whether it
//!          came in time. With tokio, use `tokio::spawn(async { ... })` on the current_thread runtime, whose queue keeps the
//!          order; a task costs more than a callback.
//! Order:   a callback that a callback submits runs in the next round, after all that were queued before.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use anyhow::Result;

use crate::runtime::EventLoop;

const CALLBACKS: u32 = 3;

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    for number in 1..=CALLBACKS {
        event_loop.call_soon(move |event_loop| hello(event_loop, number))?;
    }
    let cancelled = event_loop.call_soon(|_| println!("never called"))?;
    cancelled.cancel();
    println!("submitted: {CALLBACKS}, and one that was cancelled");
    event_loop.run_until_complete(async { println!("the task runs in its turn") })?;
    event_loop.close()?;
    Ok(())
}

/// Submits another callback, except in the last one.
fn hello(event_loop: &EventLoop, number: u32) {
    println!("callback {number} runs");
    if number < CALLBACKS {
        let next = event_loop.call_soon(move |_| println!("a callback of callback {number} runs"));
        if let Err(error) = next {
            println!("callback {number}: {error}");
        }
    }
}
