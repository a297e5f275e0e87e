//! A loop runs until it is stopped, runs again, and is closed; what is ready when it is stopped still runs.
//!
//! Python:  `loop.run_forever()`, `stop`, `close`, `is_running`, `is_closed`
//! Differs: `new_event_loop` takes no argument, other than in the notes. A callback is handed the loop.
//! Tokio:   `Runtime::block_on(future)` runs until the future returns, and may be called again. What would be `stop`
//!          is a future that becomes ready, and what would be `close` is the end of the `Runtime`, which nobody can
//!          use then.
//! Order:   one thread, one queue: callbacks run in the order in which they were handed in.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use anyhow::{Result, bail};

use crate::runtime::EventLoop;

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    println!("a new loop is {}", state(&event_loop));
    for run in 1..=2 {
        event_loop.call_soon(move |event_loop| {
            event_loop.stop();
            println!("run {run}: the loop is {}", state(event_loop));
        })?;
        event_loop.call_soon(|_| println!("this was ready when the loop was stopped"))?;
        event_loop.run_forever()?;
        println!("a stopped loop is {}", state(&event_loop));
    }

    event_loop.call_soon(|event_loop| {
        event_loop.stop();
        if let Err(error) = event_loop.close() {
            println!("close: {error}");
        }
    })?;
    event_loop.run_forever()?;
    event_loop.close()?;
    event_loop.close()?; // Nothing is left to be done, so it does nothing.
    println!("a loop that was closed twice is {}", state(&event_loop));
    match event_loop.call_soon(|_| println!("never called")) {
        Err(error) => println!("call_soon: {error}"),
        Ok(_) => bail!("a closed loop takes work"),
    }
    match event_loop.run_forever() {
        Err(error) => println!("run_forever: {error}"),
        Ok(()) => bail!("a closed loop runs"),
    }
    Ok(())
}

fn state(event_loop: &EventLoop) -> &'static str {
    match (event_loop.is_running(), event_loop.is_closed()) {
        (true, _) => "running",
        (_, true) => "closed",
        _ => "neither running nor closed",
    }
}
