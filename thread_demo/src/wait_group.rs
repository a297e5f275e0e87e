//! Wait until all threads are ready, not until they finish.
//!
//! Python:  `threading.Barrier`, or a `Semaphore` that is acquired four times
//! Differs: every thread owns a clone of crossbeam's `WaitGroup`, and reports by dropping it. A thread that panics drops its
//!          clone, too. A barrier must know the number of threads in advance, and waits forever for a thread that fails.
//! Order:   main says go after all threads have reported, and a thread goes on after that.
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
        let mut held = message
            .write()
            .map_err(|_| anyhow!("a thread has panicked"))?;
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
