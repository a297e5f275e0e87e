//! Leave a daemon thread waiting for work when main ends.
//!
//! Python:  `Thread(target=worker, daemon=True)`
//! Differs: every thread of a Rust program is a daemon thread: the end of `main` ends the process. The thread stops where it
//!          is, without running destructors, so it must not own anything that needs cleanup. queue shows a worker that ends by itself.
//! Order:   main joins the queue, so three items are done before it ends.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! parking_lot = "0.13"
//! ```

use std::sync::LazyLock;
use std::thread;

use anyhow::Result;

use crate::thread_queue::{Consumer, Producer, queue};

/// A static is never dropped, so the worker never sees the end of the queue.
static Q: LazyLock<Producer<u32>> = LazyLock::new(|| {
    let (q, items) = queue(0);
    let run = move || {
        // No thread joins it, so it reports its error itself.
        if let Err(error) = worker(&items) {
            eprintln!("the worker failed: {error:#}");
        }
    };
    if let Err(error) = thread::Builder::new().spawn(run) {
        eprintln!("start the worker: {error}"); // `put` then fails, because the queue has no consumer.
    }
    q
});

pub fn main() -> Result<()> {
    for item in 0..3 {
        Q.put(item)?;
    }
    Q.join()?;
    println!("main ends while the worker waits for more");
    Ok(())
}

fn worker(q: &Consumer<u32>) -> Result<()> {
    loop {
        let item = q.get()?;
        println!("done {item}");
        q.task_done()?;
    }
}
