//! What a Rust program should usually take instead: threads, which use all cores and share what they work on.
//!
//! Python:  `multiprocessing.pool.ThreadPool`, whose threads share one core because of the GIL
//! Differs: nothing is copied to another process, a task may borrow what it works on, and no worker can be killed alone.
//!          Processes remain for work that may crash, leak, or must be stopped from outside.
//! Order:   as map, whose trace it shares; the id of a worker is its thread's.
//! Linux:   `gettid`, and only because the worker's id is printed.
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

/// Takes a second and says who has done it.
fn f(x: u32) -> (u32, i32, u32) {
    thread::sleep(SECOND);
    (x, gettid().as_raw_nonzero().get(), process::id())
}
