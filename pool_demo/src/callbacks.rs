//! Pass the result of a task to one function, and its error to another.
//!
//! Python:  `apply_async(f, args, callback=..., error_callback=...)`, and the same of `map_async`
//! Order:   a callback runs in the parent, in a thread of the pool, before its task counts as done; `join` waits for
//!          all.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::process;

use anyhow::{Result, ensure};
use multiproc::{Pool, init, task};

pub fn main() -> Result<()> {
    init([task(half)]);
    println!("main process pid is {}", process::id());
    let pool = Pool::with_workers(2)?;
    let got = |half| println!("process {} got {half:?}", process::id());
    let failed = |error| println!("process {} got the error: {error}", process::id());
    for number in [8, 9] {
        pool.apply_async_with(half, number, got, failed)?;
    }
    let got = |halves| println!("process {} got {halves:?}", process::id());
    for numbers in [[2, 4, 6], [2, 3, 4]] {
        pool.map_async_with(half, numbers, None, got, failed)?;
    }
    pool.join()?;
    println!("main process {} joined the pool", process::id());
    Ok(())
}

fn half(number: u32) -> Result<u32> {
    ensure!(number.is_multiple_of(2), "{number} is odd");
    Ok(number / 2)
}
