//! Run two tasks with `apply`, which blocks: the second starts after the first.
//!
//! Python:  `Pool.apply`
//! Differs: the notes say that `apply` returns an `AsyncResult`; it returns the result itself, in Python too.
//! Order:   the second task starts after the first one's result has arrived, however many workers there are.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use multiproc::{Pool, init, task};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    init([task(f)]);
    let pool = Pool::with_workers(5)?;
    let start = SystemTime::now();
    for name in ["first", "second"] {
        let end = pool.apply(f, ())?.duration_since(start)?;
        println!(
            "{name} task: done after {:.2} s",
            end.div_duration_f64(SECOND)
        );
    }
    Ok(())
}

/// Takes a second and returns the time of day.
fn f((): ()) -> Result<SystemTime> {
    thread::sleep(SECOND);
    Ok(SystemTime::now())
}
