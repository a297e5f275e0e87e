//! A thread that is a value: its fields are its state, its method is what it runs, and `join` gives it back.
//!
//! Python:  `class T(Thread)` with `__init__`, `run` and a lock of the class
//! Differs: nothing is inherited. A trait says what can be run, so a list may hold threads of many types. What Python reads
//!          from the object after `join`, Rust gets back from `join`. The class attribute is a `static`.
//! Order:   as thread_function.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! fastrand = "2"
//! ```

use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let threads = (0..4)
        .map(|tid| start(Box::new(T { tid, slept: 0 })))
        .collect::<Result<Vec<_>>>()?;
    for thread in threads {
        let task = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        ensure!(task.turns() == 10, "a thread slept {} times", task.turns());
    }
    println!("all thread stoped");
    Ok(())
}

trait Task: Send {
    fn run(&mut self);
    fn turns(&self) -> u32;
}

fn start(mut task: Box<dyn Task>) -> Result<JoinHandle<Box<dyn Task>>> {
    let run = move || {
        task.run();
        task
    };
    thread::Builder::new().spawn(run).context("start a thread")
}

struct T {
    tid: u32,
    slept: u32,
}

impl T {
    /// Prints while no other `T` does. One `println!` is never torn; it is two in a row that need the lock.
    fn lock_print(&self, text: &str) {
        static LOCK: Mutex<()> = Mutex::new(());
        let _guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        println!("thread {} {text}", self.tid);
    }
}

impl Task for T {
    fn run(&mut self) {
        for _ in 0..10 {
            let sleep_time = fastrand::f64();
            thread::sleep(SECOND.mul_f64(sleep_time));
            self.lock_print(&format!("sleep {sleep_time}"));
            self.slept += 1;
        }
        self.lock_print("stop");
    }

    fn turns(&self) -> u32 {
        self.slept
    }
}
