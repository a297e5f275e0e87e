//! Get the message of a task that fails or panics; the worker goes on.
//!
//! Python:  an exception in a task, raised again by `get`
//! Differs: an error that the task returns and a panic (a bug in the program) are different variants of the error.
//! Order:   each result is awaited before the next task starts.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::process;

use anyhow::{Context, Result};
use multiproc::{Pool, PoolError, init, task};

pub fn main() -> Result<()> {
    init([task(divide)]);
    let pool = Pool::with_workers(1)?;
    for (a, b) in [(6, 3), (6, 0), (1, 4), (6, 2)] {
        match pool.apply(divide, (a, b)) {
            Ok((result, worker)) => println!("worker {worker}: {a} / {b} = {result}"),
            Err(PoolError::Failed(message)) => println!("the task failed: {message}"),
            Err(PoolError::Panicked { message, .. }) => println!("the task panicked: {message}"),
            Err(error) => return Err(error.into()),
        }
    }
    println!("main process {}", process::id());
    Ok(())
}

fn divide((a, b): (u32, u32)) -> Result<(u32, u32)> {
    assert!(a >= b || b == 0, "too small");
    let result = a.checked_div(b).context("division by zero")?;
    Ok((result, process::id()))
}
