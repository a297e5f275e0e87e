//! Start named threads from a function, and join them all.
//!
//! Python:  `Thread(target=loop, name=...)`, `start()`, `join()`, `current_thread().name`
//! Differs: `spawn` starts the thread at once. `join` returns a panic as an error; Python's `join` does not report an exception.
//! Order:   the lines of one thread keep their order, those of different threads interleave. main's line comes last.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! fastrand = "2"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let threads = (0..4)
        .map(|tid| thread::Builder::new().name(format!("thread {tid}")))
        .map(|builder| builder.spawn(run).context("start a thread"))
        .collect::<Result<Vec<_>>>()?;
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a thread panicked"))?;
    }
    println!("all thread stoped");
    Ok(())
}

fn run() {
    let this = thread::current();
    let name = this.name().unwrap_or("a thread without a name");
    for _ in 0..10 {
        let sleep_time = fastrand::f64();
        thread::sleep(SECOND.mul_f64(sleep_time));
        println!("{name} sleep {sleep_time}");
    }
    println!("{name} stop");
}
