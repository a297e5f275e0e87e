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
//! ```

use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use crate::thread_queue::Queue;

pub fn main() -> Result<()> {
    let q = Arc::new(Queue::new(0));
    let its = Arc::clone(&q);
    let run = move || {
        // Nobody joins it, so it says itself what went wrong.
        if let Err(error) = worker(&its) {
            eprintln!("the worker failed: {error:#}");
        }
    };
    let thread = thread::Builder::new().spawn(run);
    thread.context("start the worker")?;
    for item in 0..3 {
        q.put(item)?;
    }
    q.join();
    println!("main ends, the worker waits for more");
    Ok(())
}

fn worker(q: &Queue<u32>) -> Result<()> {
    loop {
        let item = q.get()?;
        println!("done {item}");
        q.task_done()?;
    }
}
