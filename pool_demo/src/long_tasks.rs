//! Run five tasks of different length on as many workers as there are cores.
//!
//! Python:  `Pool()`, `apply_async`
//! Differs: the notes' tasks sleep for a random time; here the time is an argument, so the trace can compare it.
//! Order:   any. A task's time does not include its wait for a free worker.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::Result;
use multiproc::{Pool, init, task};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    init([task(long_time_task)]);
    println!("main process pid is {}", process::id());
    let pool = Pool::new()?;
    for (name, seconds) in [(0, 0.0), (1, 1.2), (2, 2.4), (3, 0.6), (4, 1.8)] {
        pool.apply_async(long_time_task, (name, seconds))?;
    }
    pool.join()?;
    Ok(())
}

fn long_time_task((name, seconds): (u32, f64)) -> Result<()> {
    let pid = process::id();
    println!("Task {name} pid {pid} is to run {seconds:.2} seconds");
    let start = Instant::now();
    thread::sleep(SECOND.mul_f64(seconds));
    let took = start.elapsed().div_duration_f64(SECOND);
    println!("Task {name} pid {pid} runs {took:.2} seconds");
    Ok(())
}
