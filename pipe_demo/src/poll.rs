//! A reader asks whether a message waits, and is told of the end when its peer closes the pipe or is killed.
//!
//! Python:  `conn.poll(timeout)`; `EOFError` from `conn.recv()`
//! Differs: under Python's fork every process must first close its copies of the other's ends, or the end never comes.
//! Needs:   pipe.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ipc-channel = "0.23"
//! nix = { version = "0.31", features = ["process", "signal"] }
//! rustix = { version = "1", features = ["net"] }
//! serde = "1"
//! tempfile = "3"
//! ```

use std::process::{self, Child, Stdio};
use std::{os::unix::process::ExitStatusExt, thread, time::Duration};

use anyhow::{Context, Result, bail};
use ipc_channel::IpcError;

use crate::pipe::{Connection, role};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    if let Some(role) = role() {
        return child(Connection::to_parent(role)?);
    }
    let (mut pipe, child) = Connection::<String, String>::spawn(Stdio::null())?;
    poll(&mut pipe, SECOND);
    pipe.send("Hello".to_owned()).context("send to the child")?;
    poll(&mut pipe, 100 * SECOND);
    let greeting = pipe.recv().context("receive from the child")?;
    println!("Main process {} receive {greeting}", process::id());
    expect_end_of_file(&mut pipe, child)?;

    let (mut pipe, mut child) = Connection::<String, String>::spawn(Stdio::null())?;
    println!("Main process {} kill {}", process::id(), child.id());
    child.kill().context("kill the child")?;
    expect_end_of_file(&mut pipe, child)
}

fn poll(pipe: &mut Connection<String, String>, timeout: Duration) {
    let found = if pipe.poll(timeout) { "ready" } else { "empty" };
    println!("Main process {} poll {found}", process::id());
}

fn expect_end_of_file(pipe: &mut Connection<String, String>, mut child: Child) -> Result<()> {
    match pipe.recv() {
        Err(IpcError::Disconnected) => println!("Main process {} end of file", process::id()),
        Err(error) => return Err(error).context("read to the end of file"),
        Ok(message) => bail!("expected the end of file, received {message:?}"),
    }
    let status = child.wait().context("wait for the child")?;
    match status.signal() {
        Some(signal) => println!("Child process {} killed by signal {signal}", child.id()),
        None => println!("Child process {} ended: {status}", child.id()),
    }
    Ok(())
}

fn child(mut pipe: Connection<String, String>) -> Result<()> {
    let Ok(greeting) = pipe.recv() else {
        return Ok(());
    };
    println!("Child process {} receive {greeting}", process::id());
    thread::sleep(SECOND);
    pipe.send(greeting).context("send to the parent")
}
