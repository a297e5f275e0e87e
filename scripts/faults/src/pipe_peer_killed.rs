//! The peer of a pipe is killed while it sends. Every message that it has sent arrives whole; then both directions are
//! closed.

use anyhow::{Context, Result, ensure};
use multiproc::{Connection, ConnectionError, spawn};

use crate::{Item, each, item};

pub fn run(rounds: u32) -> Result<String> {
    let mut messages = 0;
    each(rounds, |round| {
        let (pipe, theirs) = Connection::<(), Item>::pair()?;
        let child = spawn(peer, theirs)?;
        let mut count = 0;
        while count < u64::from(round) * 7 % 50 {
            let found = pipe.recv().context("the living peer")?;
            ensure!(found == large(count), "message {count} is torn");
            count += 1;
        }
        child.kill()?;
        loop {
            match pipe.recv() {
                Ok(found) => ensure!(found == large(count), "message {count} is torn"),
                Err(ConnectionError::Closed) => break,
                Err(error) => return Err(error).context("instead of the end of file"),
            }
            count += 1;
        }
        child.join()?;
        let sent = pipe.send(&());
        let closed = matches!(sent, Err(ConnectionError::Closed));
        ensure!(closed, "sending to the dead peer gave {sent:?}");
        messages += count;
        Ok(format!("{count} messages, then the end of file"))
    })?;
    Ok(format!("{messages} messages whole, then the end of file"))
}

/// Sends until it is killed.
pub fn peer(pipe: Connection<Item, ()>) -> Result<(), ConnectionError> {
    (0..).try_for_each(|number| pipe.send(&large(number)))
}

/// Some messages are larger than the socket's buffer, so that they are sent in pieces.
fn large(number: u64) -> Item {
    let (number, mut bytes) = item(number);
    if number % 3 == 2 {
        bytes.resize(500_000, number as u8);
    }
    (number, bytes)
}
