//! Use threads instead of processes: they use all cores and share their data.
//!
//! Python:  `multiprocessing.pool.ThreadPool`, whose threads take turns on one core while they run Python code
//! Differs: nothing is copied to another process, and a task may borrow its data, but a single worker cannot be killed.
//!          Use processes for work that may crash, leak, or must be stopped from outside.
//! Order:   as in map; a worker's id is its thread id.
//! Platform: Linux (`gettid`, only to print that id)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rayon = "1"
//! rustix = { version = "1", features = ["thread"] }
//! ```

use std::time::Duration;
use std::{process, thread};

use anyhow::Result;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use rustix::thread::gettid;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    let pool = ThreadPoolBuilder::new().num_threads(5).build()?;
    let results: Vec<_> = pool.install(|| [1, 2, 3].into_par_iter().map(f).collect());
    println!("{results:?}");
    Ok(())
}

/// Takes a second and tells which thread did it.
fn f(x: u32) -> (u32, i32, u32) {
    thread::sleep(SECOND);
    (x, gettid().as_raw_nonzero().get(), process::id())
}
