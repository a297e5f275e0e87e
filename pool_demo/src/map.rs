//! Map a function over a list with worker processes.
//!
//! Python:  `Pool.map`
//! Differs: the notes say that a chunk is one item by default. A chunk has ceil(items / (4 * workers)) items, which is one
//!          for up to four items per worker.
//! Order:   `map` blocks until all items are done; the results are in the order of the items. Each item takes a second,
//!          so three workers take part; `map` itself does not promise this.
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
    println!("{:?}", pool.map(f, [1, 2, 3], None)?);
    Ok(())
}

/// Takes a second and tells which process did it.
fn f(x: u32) -> Result<(u32, u32, u32)> {
    thread::sleep(SECOND);
    Ok((x, process::id(), parent_id()))
}
