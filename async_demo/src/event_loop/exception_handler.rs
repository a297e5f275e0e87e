//! Handle a failing callback in one place, and let the loop go on.
//!
//! Python:  `loop.set_exception_handler(handler)`, the `context` that it gets
//! Differs: a callback that fails without returning an error panics, and the panic hook runs first. The loop reports the panic
//!          of a task at once. asyncio keeps an exception for the awaiting task, and reports it if the task is collected
//!          without being awaited. tokio catches the panic of each task, and returns it from its `JoinHandle`; it has no handler for
//!          all (`Builder::unhandled_panic` is not stable).
//! Order:   callbacks run in order, also after a failure. A stopped loop still calls those that are ready.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::panic;

use anyhow::Result;

use crate::runtime::{EventLoop, Problem};

pub fn main() -> Result<()> {
    // Without this line a panic also prints its message on stderr, which would look like a crash here.
    panic::set_hook(Box::new(|_| {}));
    let event_loop = EventLoop::new();
    event_loop.set_exception_handler(handler);
    event_loop.call_soon(|_| fail("the first callback fails"))?;
    event_loop.call_soon(|_| println!("the second callback runs"))?;
    event_loop.call_soon(|_| fail("the third callback fails: stop"))?;
    event_loop.call_soon(|_| println!("the fourth was ready when the loop was stopped"))?;
    event_loop.run_forever()?;
    println!("the loop was stopped");
    event_loop.close()?;
    Ok(())
}

fn fail(why: &'static str) {
    panic!("{why}");
}

fn handler(event_loop: &EventLoop, callback: &str, problem: Problem) {
    let Problem::Panic(payload) = problem else {
        return eprintln!("{callback}: {problem:?}");
    };
    // A formatted panic carries a `String`, a constant one a `&str`.
    let why = payload.downcast_ref::<String>().map_or("?", String::as_str);
    println!("reported: {why}");
    if why.ends_with("stop") {
        event_loop.stop();
    }
}
