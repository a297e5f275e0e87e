//! Start six children that run one function, then wait for all of them.
//!
//! Python:  `Process(target=r)`, `start()`, `join()`
//! Differs: dropping a child that was not joined kills it, and a child dies with its parent.
//! Order:   the children's lines interleave freely. No child ends before all have started.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::parent_id;
use std::{process, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use multiproc::fork;

const SECOND: Duration = Duration::from_millis(100);
const CHILDREN: usize = 6;

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    // For the trace only: each child waits for a byte that its parent writes after the last start. Without this gate a
    // child may end before all are started, if the machine is busy.
    let (gate, mut opener) = io::pipe().context("make a pipe")?;
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        children.push(fork(|| r(&gate))?);
    }
    println!("main process started {CHILDREN} child processes");
    opener.write_all(&[0; CHILDREN]).context("open the gate")?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    println!("main process joined {CHILDREN} child processes");
    Ok(())
}

fn r(mut gate: &PipeReader) -> Result<()> {
    let (pid, parent) = (process::id(), parent_id());
    println!("child process pid is {pid} ppid is {parent}");
    gate.read_exact(&mut [0]).context("wait at the gate")?;
    thread::sleep(SECOND);
    println!("child process {pid} ends");
    Ok(())
}
