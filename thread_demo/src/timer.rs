//! Call a function once after a delay, or cancel it first.
//!
//! Python:  `threading.Timer(5, r)`, `start()`, `cancel()`
//! Differs: `cancel` returns whether it came in time; Python's returns nothing. Dropping a timer cancels it.
//! Order:   main joins the timer, so the function has returned before main goes on. A cancel wakes the timer's thread at once.
//! Needs:   timers.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! ```

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::timers::Timer;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let begun = Instant::now();
    println!("a timer of 5 seconds is started");
    let t = Timer::once(5 * SECOND, r).context("start the timer")?;
    join(t)?;
    println!("it fired after {:.6} seconds", seconds(begun));

    let begun = Instant::now();
    let t = Timer::once(500 * SECOND, r).context("start the timer")?;
    ensure!(t.cancel(), "the cancel came too late");
    join(t)?;
    println!("another was cancelled after {:.6} seconds", seconds(begun));
    Ok(())
}

fn r() {
    println!("Time's up");
}

fn join(t: Timer) -> Result<()> {
    t.join().map_err(|_| anyhow!("the function panicked"))
}

fn seconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() / SECOND.as_secs_f64()
}
