//! Map with `chunksize` 3: one worker does three items, one after the other.
//!
//! Python:  `Pool.map(f, [1, 2, 3], 3)`
//! Order:   the results are in the order of the items.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::os::unix::process::parent_id;
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::Result;
use multiproc::{Pool, init, task};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    init([task(f)]);
    println!("main process pid is {}", process::id());
    let pool = Pool::with_workers(5)?;
    let start = Instant::now();
    println!("{:?}", pool.map(f, [1, 2, 3], Some(3))?);
    let seconds = start.elapsed().div_duration_f64(SECOND);
    println!("took {seconds:.2} seconds");
    Ok(())
}

/// Takes a second and tells which process did it.
fn f(x: u32) -> Result<(u32, u32, u32)> {
    thread::sleep(SECOND);
    Ok((x, process::id(), parent_id()))
}
