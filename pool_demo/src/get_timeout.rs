//! Wait a limited time for a result: the wait ends, the task goes on.
//!
//! Python:  `AsyncResult.get(timeout)`, `multiprocessing.TimeoutError`
//! Order:   the timeout passes before the task is done; a second `get` returns the result.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use multiproc::{Pool, PoolError, init, task};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    init([task(slow)]);
    let pool = Pool::with_workers(1)?;
    let start = Instant::now();
    let seconds = || start.elapsed().div_duration_f64(SECOND);
    let result = pool.apply_async(slow, 7)?;
    match result.get_timeout(SECOND) {
        Err(PoolError::TimedOut) => println!("TimeoutError after {:.2} s", seconds()),
        value => println!("{} came in time", value?),
    }
    let value = result.get()?;
    println!("the value is {value} after {:.2} s", seconds());
    Ok(())
}

fn slow(value: u32) -> Result<u32> {
    thread::sleep(SECOND * 4);
    Ok(value)
}
