//! Make a value run as a thread, and get it back from `join`.
//!
//! Python:  `class T(Thread)` with `__init__`, `run` and a lock of the class
//! Differs: nothing is inherited. A trait defines `run`, so one list can hold threads of several types. Python reads the
//!          object's attributes after `join`; in Rust `join` returns the value. The class attribute is a `static`.
//! Order:   as in thread_function.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! fastrand = "2"
//! parking_lot = "0.13"
//! ```

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use parking_lot::Mutex;

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
    /// Prints while no other `T` prints. A single `println!` is never torn; several in a row would need the lock.
    fn lock_print(&self, text: &str) {
        static LOCK: Mutex<()> = Mutex::new(());
        let _guard = LOCK.lock();
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
