//! Two processes bounce one greeting over a duplex pipe.
//!
//! Python:  `a, b = Pipe()`; `Process(target=r, args=(b,))`
//! Differs: a child cannot be handed a closure, so the program starts itself again in a role.
//! Order:   each side prints only what it has received, so the lines alternate, the child's first.
//! Notes:   they bounce for ever; here it is three rounds, and the child ends when its parent closes the pipe.
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

use std::process::{self, Stdio};
use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use ipc_channel::IpcError;

use crate::pipe::{Connection, role};

const SECOND: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 3;

pub fn main() -> Result<()> {
    if let Some(role) = role() {
        return child(Connection::to_parent(role)?);
    }
    let (pipe, mut child) = Connection::spawn(Stdio::null())?;
    let talked = talk(pipe);
    // A child that was killed is the cause of a failed talk, so it is told of first.
    let status = child.wait().context("wait for the child")?;
    ensure!(status.success(), "the child failed: {status}");
    talked
}

fn talk(mut pipe: Connection<String, String>) -> Result<()> {
    pipe.send("Hello".to_owned()).context("send to the child")?;
    for round in 1..=ROUNDS {
        let greeting = pipe.recv().context("receive from the child")?;
        println!("Main process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
        if round < ROUNDS {
            pipe.send(greeting).context("send to the child")?;
        }
    }
    Ok(())
}

fn child(mut pipe: Connection<String, String>) -> Result<()> {
    loop {
        let greeting = match pipe.recv() {
            Err(IpcError::Disconnected) => return Ok(()),
            greeting => greeting.context("receive from the parent")?,
        };
        println!("Child process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
        pipe.send(greeting).context("send to the parent")?;
    }
}
