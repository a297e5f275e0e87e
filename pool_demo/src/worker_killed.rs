//! Kill a worker in its task: the task fails, a new worker does the rest.
//!
//! Python:  none: the caller waits without end for the killed task (cpython #96062)
//! Order:   the task kills its worker; any worker may run the other tasks, at any time.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Context, Result};
use multiproc::{Pool, init, task};
use rustix::process::{Signal, getpid, kill_process};

const SECOND: Duration = Duration::from_millis(100);
const WORKERS: usize = 2;

pub fn main() -> Result<()> {
    init([task(square), task(who)]);
    let pool = Pool::with_workers(WORKERS)?;
    print_workers(&pool)?;
    let mut results = Vec::new();
    for number in 0..10 {
        results.push((number, pool.apply_async(square, number)?));
    }
    for (number, result) in results {
        match result.get() {
            Ok(square) => println!("{number} * {number} = {square}"),
            Err(error) => println!("{number}: {error}"),
        }
    }
    print_workers(&pool)
}

/// Kills its worker if the number is 5.
fn square(number: u32) -> Result<u32> {
    if number == 5 {
        kill_process(getpid(), Signal::KILL).context("kill this process")?;
    }
    Ok(number * number)
}

fn print_workers(pool: &Pool) -> Result<()> {
    let workers = pool.map(who, [(); WORKERS], Some(1))?;
    println!("main process {} has the workers {workers:?}", process::id());
    Ok(())
}

/// Takes a second, so that each worker does one.
fn who((): ()) -> Result<u32> {
    thread::sleep(SECOND);
    Ok(process::id())
}
