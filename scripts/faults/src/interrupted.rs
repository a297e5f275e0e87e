//! SIGINT reaches the whole process group while a pool works, as from Ctrl-C. All processes end.

use std::convert::Infallible;
use std::thread;

use anyhow::{Result, bail};
use multiproc::Pool;

/// Prints that it has started, and never ends by itself.
pub fn endless(number: u32) -> Result<(), Infallible> {
    println!("task {number} is at work");
    loop {
        thread::park();
    }
}

/// smoke sends the signal after it has read a line.
pub fn run(_rounds: u32) -> Result<String> {
    let pool = Pool::with_workers(3)?;
    pool.map(endless, 0..6, Some(1))?;
    bail!("it was not interrupted")
}
