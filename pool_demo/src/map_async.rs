//! Start a `map` and go on; `get` blocks until the results are there.
//!
//! Python:  `Pool.map_async`, `MapResult.get`
//! Order:   the main process goes on while the workers work.
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
    init([task(f)]);
    println!("main process pid is {}", process::id());
    let pool = Pool::with_workers(5)?;
    let result = pool.map_async(f, [1, 2, 3], None)?;
    let (main, ready) = (process::id(), result.ready());
    println!("main process {main} goes on, ready: {ready}");
    println!("{:?}", result.get()?);
    let successful = result.successful() == Some(true);
    println!("ready: {}, successful: {successful}", result.ready());
    Ok(())
}

/// Takes a second and tells which process did it.
fn f(x: u32) -> Result<(u32, u32, u32)> {
    thread::sleep(SECOND);
    Ok((x, process::id(), parent_id()))
}
