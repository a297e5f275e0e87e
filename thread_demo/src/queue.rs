//! A worker takes thirty items from a queue; `join` returns when all of them are done.
//!
//! Python:  `queue.Queue`, `put`, `get`, `task_done`, `join`, and a worker that is a daemon thread
//! Differs: `close` tells the worker that nothing more will come, so it ends and can be joined; for the daemon see daemon.
//! Order:   the items are done in the order in which they were put, before `join` returns; one `task_done` too many is an
//!          error.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::thread_queue::Queue;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let q = Queue::new(0);
    thread::scope(|scope| {
        let worker = scope.spawn(|| worker(&q));
        let result = produce(&q);
        q.close(); // Whatever has happened, or the worker would wait for ever, and the scope for it.
        worker
            .join()
            .map_err(|_| anyhow!("the worker panicked"))??;
        result
    })?;
    println!("the worker has ended");
    Ok(())
}

fn produce(q: &Queue<u32>) -> Result<()> {
    for item in 0..30 {
        q.put(item)?;
    }
    q.join();
    println!("joined");
    match q.task_done() {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("nothing was left to be done, and nobody noticed"),
    }
    Ok(())
}

fn worker(q: &Queue<u32>) -> Result<()> {
    while let Ok(item) = q.get() {
        thread::sleep(SECOND / 20);
        println!("done {item}");
        q.task_done()?;
    }
    Ok(())
}
