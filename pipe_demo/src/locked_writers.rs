//! Write multi-part messages to one pipe from three processes that share a lock.
//!
//! Python:  `with lock: conn.send(...)` in every process that writes to the same end
//! Differs: here a single `send` needs no lock, whatever its size. In Python a large message needs it, because the
//!          bytes of two writers mix.
//! Order:   the parts of a message stay together; any writer may be next.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use multiproc::{Connection, Lock, fork};

const SECOND: Duration = Duration::from_millis(100);
const WRITERS: u32 = 3;
const MESSAGES: u32 = 2;

/// The writer's pid, the number of its message, and the part.
type Part = (u32, u32, String);

pub fn main() -> Result<()> {
    let (reader, shared) = Connection::<(), Part>::pair()?;
    let lock = Lock::new()?;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(fork(|| write(&shared, &lock))?);
    }
    // While this process keeps a copy of the writers' end, it never reads the end of file.
    drop(shared);
    for part in reader.iter() {
        let (pid, message, part) = part.context("receive a part")?;
        let main = process::id();
        println!("Main process {main} receive {part} of {message} from {pid}");
    }
    for writer in writers {
        let exit = writer.join()?;
        ensure!(exit.success(), "a writer failed: {exit}");
    }
    Ok(())
}

fn write(shared: &Connection<Part, ()>, lock: &Lock) -> Result<()> {
    for message in 1..=MESSAGES {
        let _held = lock.lock()?;
        for part in ["begin", "middle", "end"] {
            let part = (process::id(), message, part.to_owned());
            shared.send(&part).context("send a part")?;
            thread::sleep(SECOND / 10);
        }
    }
    Ok(())
}
