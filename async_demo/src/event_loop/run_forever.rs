//! Run a loop until it is stopped, run it again, and close it.
//!
//! Python:  `loop.run_forever()`, `stop`, `close`, `is_running`, `is_closed`
//! Differs: `new_event_loop` takes no argument, unlike in the notes. A callback gets the loop as its argument. With tokio,
//!          `Runtime::block_on(future)` runs until the future returns, and can be called again. Complete
//!          the future instead of calling `stop`, and drop the `Runtime` instead of calling `close`.
//! Order:   one thread and one queue: callbacks run in the order of the calls. Callbacks that are ready at `stop` still run.
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
    event_loop.close()?; // Closing a closed loop does nothing.
    println!("a loop that was closed twice is {}", state(&event_loop));
    match event_loop.call_soon(|_| println!("never called")) {
        Err(error) => println!("call_soon: {error}"),
        Ok(_) => bail!("the closed loop took a callback"),
    }
    match event_loop.run_forever() {
        Err(error) => println!("run_forever: {error}"),
        Ok(()) => bail!("the closed loop ran"),
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
