//! Six children run one function; all are started before the first is waited for.
//!
//! Python:  `Process(target=r)`, `start()`, `join()`
//! Order:   the children's lines are free among each other. No child ends before all are started: each waits for a byte
//!          that its parent writes after the last start.
//! Needs:   multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::parent_id;
use std::{process, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::multiprocessing::{Exit, fork};

const SECOND: Duration = Duration::from_millis(100);
const CHILDREN: usize = 6;

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    let (gate, mut opener) = io::pipe().context("make a pipe")?;
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        children.push(fork(|| r(&gate))?);
    }
    println!("main process started {CHILDREN} child processes");
    opener
        .write_all(&[0; CHILDREN])
        .context("let the children go on")?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    println!("main process joined {CHILDREN} child processes");
    Ok(())
}

fn r(mut gate: &PipeReader) -> Result<u8> {
    println!(
        "child process pid is {} ppid is {}",
        process::id(),
        parent_id()
    );
    gate.read_exact(&mut [0])
        .context("wait for the other children")?;
    thread::sleep(SECOND);
    println!("child process {} ends", process::id());
    Ok(0)
}
