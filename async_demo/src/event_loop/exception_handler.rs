//! A callback fails: the exception handler is told, the loop goes on, and the handler may stop it.
//!
//! Python:  `loop.set_exception_handler(handler)`, the `context` that it is given
//! Differs: what fails without an error to return panics. The standard library's panic hook has already written it to
//!          standard error when the handler is told. A task that panics is reported at once; asyncio keeps an
//!          exception for who awaits the task, and reports it when the task is collected and nobody has.
//! Tokio:   each task catches its panic, which comes out of its `JoinHandle` as a `JoinError`; there is no handler
//!          for all (`Builder::unhandled_panic` is not stable).
//! Order:   callbacks run in the order in which they were handed in, whatever becomes of each.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use anyhow::Result;

use crate::runtime::{EventLoop, Problem};

pub fn main() -> Result<()> {
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
    // A `panic!` with arguments carries a String, one without a &str.
    let why = payload.downcast_ref::<String>().map_or("?", String::as_str);
    println!("reported: {why}");
    if why.ends_with("stop") {
        event_loop.stop();
    }
}
