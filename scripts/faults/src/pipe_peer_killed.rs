//! The peer of a pipe is killed while it sends. What it sent is read, whole; then comes the end of file, for both ways.

use std::process::{self, Stdio};

use anyhow::{Context, Result, ensure};
use ipc_channel::IpcError;

use crate::pipe::{self, Connection};
use crate::{Item, each, item};

pub fn run(rounds: u32) -> Result<String> {
    if let Some(role) = pipe::role() {
        let pipe = Connection::<Item, ()>::to_parent(role)?;
        // Until nobody reads any more.
        (0..).try_for_each(|number| pipe.send(large(number))).ok();
        process::exit(0);
    }
    let mut messages = 0;
    each(rounds, |round| {
        let (mut pipe, mut child) = Connection::<(), Item>::spawn(Stdio::null())?;
        let mut count = 0;
        while count < u64::from(round) * 7 % 50 {
            let found = pipe.recv().context("the living peer")?;
            ensure!(found == large(count), "message {count} is torn");
            count += 1;
        }
        child.kill().context("kill the peer")?;
        loop {
            match pipe.recv() {
                Ok(found) => ensure!(found == large(count), "message {count} is torn"),
                Err(IpcError::Disconnected) => break,
                Err(error) => return Err(error).context("instead of the end of file"),
            }
            count += 1;
        }
        child.wait().context("wait for the peer")?;
        ensure!(pipe.send(()).is_err(), "a message to the dead was sent");
        messages += count;
        Ok(format!("{count} messages, then the end of file"))
    })?;
    Ok(format!("{messages} messages whole, then the end of file"))
}

/// Some are larger than the socket's buffer, and so are sent in pieces.
fn large(number: u64) -> Item {
    let (number, mut bytes) = item(number);
    if number % 3 == 2 {
        bytes.resize(500_000, number as u8);
    }
    (number, bytes)
}
