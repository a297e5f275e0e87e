//! Send a value to each child, which runs the value's method there.
//!
//! Python:  `class P(Process)` with `__init__` and `run`
//! Differs: no base class: the method is the target, the value is its argument. The fields travel as bytes, as Python's
//!          do as a pickle under spawn; nothing else does, so the child does not see `CHANGED` change.
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
