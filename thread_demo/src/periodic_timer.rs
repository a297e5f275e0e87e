//! Call a function periodically until it says that it is done.
//!
//! Python:  a new `threading.Timer` each time, started by the function
//! Differs: one timer and one thread. The function's result or a `cancel` ends it. The notes call `t.start()` again in the
//!          function, which is a RuntimeError: a thread starts only once.
//! Order:   a call begins an interval after the one before has returned.
//! Needs:   timers.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! ```

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::timers::Timer;

const TIMES: u32 = 3;
const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let begun = Instant::now();
    let mut times = 0;
    let r = move || {
        times += 1;
        println!("Time's up");
        match times < TIMES {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let t = Timer::periodic(2 * SECOND, r).context("start the timer")?;
    t.join().map_err(|_| anyhow!("the function panicked"))?;
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("{TIMES} times in {seconds:.6} seconds");
    Ok(())
}
