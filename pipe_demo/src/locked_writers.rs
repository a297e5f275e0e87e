//! Three processes write messages of several parts to one reader; a lock keeps the parts of a message together.
//!
//! Python:  `with lock: conn.send(...)` in every process that writes to the same end
//! Differs: Python needs the lock for a single `send` too, because two writers tear each other's bytes. One send
//!          of ipc-channel arrives whole by itself; the lock is for what takes more than one.
//! Lock:    `File::lock` on a file without a name, which the children inherit as stdin and open anew, because a
//!          file lock excludes open files, not processes. The kernel releases it with the process that dies.
//! Linux:   opening the inherited file anew is a feature of its `/dev/stdin`.
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

use std::{fs::File, process, thread, time::Duration};

use anyhow::{Context, Result, bail};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcSender};

use crate::pipe::{Connection, role};

const SECOND: Duration = Duration::from_millis(100);
const WRITERS: u32 = 3;
const MESSAGES: u32 = 2;

/// Whose part it is, of which message, and which part.
type Part = (u32, u32, String);

pub fn main() -> Result<()> {
    if let Some(role) = role() {
        return writer(Connection::to_parent(role)?);
    }
    let lock = tempfile::tempfile().context("make the lock file in the temporary folder")?;
    let (sender, parts) = ipc::channel::<Part>().context("make the shared channel")?;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (pipe, child) = Connection::<IpcSender<Part>, ()>::spawn(lock.try_clone()?)?;
        pipe.send(sender.clone()).context("hand a writer its end")?;
        writers.push(child);
    }
    // While the parent keeps a sender of its own, it would never read the end of file.
    drop(sender);
    loop {
        match parts.recv() {
            Ok((pid, message, part)) => {
                println!(
                    "Main process {} receive {part} of {message} from {pid}",
                    process::id()
                );
            }
            Err(IpcError::Disconnected) => break,
            Err(error) => return Err(error).context("receive a part"),
        }
    }
    let mut statuses = Vec::new();
    for mut writer in writers {
        statuses.push(writer.wait().context("wait for a writer")?);
    }
    let failed = statuses.iter().find(|status| !status.success());
    failed.map_or(Ok(()), |status| bail!("a writer failed: {status}"))
}

fn writer(mut pipe: Connection<(), IpcSender<Part>>) -> Result<()> {
    let sender = pipe.recv().context("receive the shared end")?;
    let lock = File::open("/dev/stdin").context("open the lock file")?;
    for message in 1..=MESSAGES {
        lock.lock().context("take the lock")?;
        for part in ["begin", "middle", "end"] {
            let part = (process::id(), message, part.to_owned());
            sender.send(part).context("send a part")?;
            thread::sleep(SECOND / 10);
        }
        lock.unlock().context("release the lock")?;
    }
    Ok(())
}
