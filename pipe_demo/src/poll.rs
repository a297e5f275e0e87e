//! Ask whether a message waits, and read to the end of a closed or killed peer.
//!
//! Python:  `conn.poll(timeout)`; `EOFError` from `conn.recv()`
//! Differs: with Python's fork every process must first close its copies of the other ends, or the end of file never
//!          comes. A spawned child has its own end only.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Context, Result, bail};
use multiproc::{Connection, ConnectionError, Process, init, spawn, target};

const SECOND: Duration = Duration::from_millis(100);

type Pipe = Connection<String, String>;

pub fn main() -> Result<()> {
    init([target(child)]);
    let (pipe, process) = start()?;
    poll(&pipe, SECOND)?;
    pipe.send(&"Hello".to_owned())
        .context("send to the child")?;
    poll(&pipe, 100 * SECOND)?;
    let greeting = pipe.recv().context("receive from the child")?;
    println!("Main process {} receive {greeting}", process::id());
    expect_end_of_file(&pipe, process)?;

    let (pipe, process) = start()?;
    println!("Main process {} kill {}", process::id(), process.pid());
    process.kill()?;
    expect_end_of_file(&pipe, process)
}

fn start() -> Result<(Pipe, Process)> {
    let (pipe, childs_end) = Pipe::pair()?;
    Ok((pipe, spawn(child, childs_end)?))
}

fn poll(pipe: &Pipe, timeout: Duration) -> Result<()> {
    let start = Instant::now();
    let found = if pipe.poll(timeout)? {
        "ready"
    } else {
        "empty"
    };
    let seconds = start.elapsed().div_duration_f64(SECOND);
    println!(
        "Main process {} poll {found} after {seconds:.1} s",
        process::id()
    );
    Ok(())
}

fn expect_end_of_file(pipe: &Pipe, child: Process) -> Result<()> {
    match pipe.recv() {
        Err(ConnectionError::Closed) => println!("Main process {} end of file", process::id()),
        Err(error) => return Err(error).context("read to the end of file"),
        Ok(message) => bail!("expected the end of file, received {message:?}"),
    }
    println!("Child process {} ended: {}", child.pid(), child.join()?);
    Ok(())
}

fn child(pipe: Pipe) -> Result<()> {
    let Ok(greeting) = pipe.recv() else {
        return Ok(());
    };
    println!("Child process {} receive {greeting}", process::id());
    thread::sleep(SECOND);
    pipe.send(&greeting).context("send to the parent")
}
