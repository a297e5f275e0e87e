//! Fork a copy of this process and wait for it.
//!
//! Python:  `os.fork()`
//! Differs: `os.fork` returns twice; here the child runs a closure and then ends, so it cannot continue into its
//!          parent's code (by_hand shows the two returns). `fork` refuses to run in a program with threads: the child
//!          would inherit the locks that the other threads hold, but not the threads. The notes never wait for the
//!          child, which leaves a zombie.
//! Order:   the child's line comes anywhere after the first.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::os::unix::process::parent_id;
use std::process;

use anyhow::{Result, ensure};
use multiproc::fork;

pub fn main() -> Result<()> {
    println!("main pid is {}", process::id());
    let child = fork(|| println!("child pid is {}, ppid is {}", process::id(), parent_id()))?;
    println!("main receive child pid is {}", child.pid());
    println!("main pid is {}, ppid is {}", process::id(), parent_id());
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    Ok(())
}
