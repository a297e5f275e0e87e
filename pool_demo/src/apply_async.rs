//! Give five tasks to four workers: the fifth waits for a free worker.
//!
//! Python:  `Pool.apply_async`
//! Order:   four tasks start at once, in any order; the fifth starts when one of them is done.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::os::unix::process::parent_id;
use std::{process, thread, time::Duration};

use anyhow::Result;
use multiproc::{Pool, init, task};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    init([task(r)]);
    println!("main process pid is {}", process::id());
    let pool = Pool::with_workers(4)?;
    for _ in 0..5 {
        pool.apply_async(r, ())?;
    }
    pool.join()?;
    Ok(())
}

fn r((): ()) -> Result<()> {
    let (pid, parent) = (process::id(), parent_id());
    println!("child process pid is {pid} ppid is {parent}");
    thread::sleep(SECOND);
    println!("child process {pid} is free");
    Ok(())
}
