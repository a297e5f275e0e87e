//! A periodic timer calls its function again and again, until the function says that it is enough.
//!
//! Python:  a new `threading.Timer` each time, started by the function
//! Notes:   they call `t.start()` once more in the function, which is a RuntimeError: a thread starts only once.
//! Differs: one timer, one thread. What ends it is what the function returns, or a `cancel`.
//! Order:   a call begins an interval after the one before has ended.
//! Needs:   timers.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::timers::Timer;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let begun = Instant::now();
    let mut times = 0;
    let r = move || {
        times += 1;
        println!("Time's up");
        match times {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let t = Timer::periodic(2 * SECOND, r).context("start the timer")?;
    t.join().map_err(|_| anyhow!("the function panicked"))?;
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("three times in {seconds:.6} seconds");
    Ok(())
}
