//! Main waits until four threads are ready, and not until they end.
//!
//! Python:  `threading.Barrier`, or a `Semaphore` that is acquired four times
//! Differs: every thread takes a clone of crossbeam's `WaitGroup` along, and dropping it is the report, which a thread
//!          that panics makes, too. A barrier must know beforehand how many there are, and waits for ever for one that fails.
//! Order:   a thread goes on when main has said so, which it does when all have reported.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-utils = "0.8"
//! ```

use std::sync::RwLock;
use std::thread;

use anyhow::{Result, anyhow};
use crossbeam_utils::sync::WaitGroup;

pub fn main() -> Result<()> {
    let ready = WaitGroup::new();
    let message = RwLock::new("");
    thread::scope(|scope| {
        let mut held = message.write().map_err(|_| anyhow!("a thread panicked"))?;
        for tid in 0..4 {
            let (ready, message) = (ready.clone(), &message);
            scope.spawn(move || run(tid, ready, message));
        }
        ready.wait();
        println!("all are ready");
        *held = "go";
        Ok(())
    })
}

fn run(tid: u32, ready: WaitGroup, message: &RwLock<&str>) {
    println!("thread {tid} is ready");
    drop(ready);
    match message.read() {
        Ok(message) => println!("thread {tid}: {message}"),
        Err(_) => eprintln!("thread {tid}: main panicked"),
    }
}
