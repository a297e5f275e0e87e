//! Send a value to each child, which runs the value's method there.
//!
//! Python:  `class P(Process)` with `__init__` and `run`
//! Differs: there is no base class: the method is the target, and the value is its argument. Only the value's fields
//!          travel to the child, as bytes; Python pickles them under spawn. So the child does not see the new value of
//!          `CHANGED`.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! serde = { version = "1", features = ["derive"] }
//! ```

use std::os::unix::process::parent_id;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use multiproc::{init, spawn, target};
use serde::{Deserialize, Serialize};

static CHANGED: AtomicBool = AtomicBool::new(false);

#[derive(Serialize, Deserialize)]
struct P {
    number: u32,
}

impl P {
    fn run(self) {
        println!(
            "child process pid is {} ppid is {} number is {} changed is {}",
            process::id(),
            parent_id(),
            self.number,
            CHANGED.load(Ordering::Relaxed)
        );
    }
}

pub fn main() -> Result<()> {
    init([target(P::run)]);
    println!("main process pid is {}", process::id());
    CHANGED.store(true, Ordering::Relaxed);
    let mut children = Vec::new();
    for number in 0..6 {
        children.push(spawn(P::run, P { number })?);
    }
    let count = children.len();
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    println!("main process joined {count} child processes");
    Ok(())
}
