//! A daemon thread does not hold the program: it waits for work when main ends, and ends with it.
//!
//! Python:  `Thread(target=worker, daemon=True)`
//! Differs: every thread of a Rust program is one: the end of `main` ends the process. It stops wherever it is, and drops
//!          nothing, so it must hold nothing that has to be cleaned up. See queue for a worker that ends by itself.
//! Order:   what main has joined is done; what the thread would do later never is.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! ```

use std::sync::LazyLock;
use std::thread;

use anyhow::Result;

use crate::thread_queue::{Consumer, Producer, queue};

/// A static is never dropped, so the worker never sees an end.
static Q: LazyLock<Producer<u32>> = LazyLock::new(|| {
    let (q, items) = queue(0);
    let run = move || {
        // Nobody joins it, so it says itself what went wrong.
        if let Err(error) = worker(&items) {
            eprintln!("the worker failed: {error:#}");
        }
    };
    if let Err(error) = thread::Builder::new().spawn(run) {
        eprintln!("start the worker: {error}"); // And the queue has no consumer, which `put` reports.
    }
    q
});

pub fn main() -> Result<()> {
    for item in 0..3 {
        Q.put(item)?;
    }
    Q.join()?;
    println!("main ends, the worker waits for more");
    Ok(())
}

fn worker(q: &Consumer<u32>) -> Result<()> {
    loop {
        let item = q.get()?;
        println!("done {item}");
        q.task_done()?;
    }
}
