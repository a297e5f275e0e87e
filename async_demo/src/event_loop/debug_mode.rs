//! Report callbacks that block the loop too long, by name and time.
//!
//! Python:  `loop.set_debug(True)`, `loop.slow_callback_duration`, `logging.getLogger("asyncio").setLevel(...)`
//! Differs: one method sets the duration and the mode, and the exception handler gets the report; asyncio logs a warning.
//!          `Duration::MAX` switches the mode off, as a higher log level does in Python. tokio has no such mode: tokio-console shows the
//!          polls of each task, in a build with `--cfg tokio_unstable`; or wrap your future to measure each `poll`.
//! Order:   a callback is reported when it has returned, before the next one runs.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::runtime::{EventLoop, Problem};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    event_loop.set_exception_handler(report);
    for limit in [4 * SECOND, Duration::MAX] {
        event_loop.set_slow_callback_duration(limit);
        event_loop.call_soon(quick)?;
        event_loop.call_soon(slow)?;
        event_loop.call_soon(last)?;
        event_loop.run_forever()?;
    }
    println!("the second time nothing was reported");
    event_loop.close()?;
    Ok(())
}

fn quick(_: &EventLoop) {
    println!("quick runs");
}

/// Stands for work that belongs in a thread.
fn slow(_: &EventLoop) {
    println!("slow runs");
    thread::sleep(5 * SECOND);
}

fn last(event_loop: &EventLoop) {
    event_loop.stop();
    println!("last runs");
}

fn report(_: &EventLoop, callback: &str, problem: Problem) {
    let Problem::Slow(took) = problem else {
        return eprintln!("{callback}: {problem:?}");
    };
    let name = callback.rsplit("::").next().unwrap_or(callback);
    let took = took.as_secs_f64() / SECOND.as_secs_f64();
    println!("executing {name} took {took:.3} seconds");
}
