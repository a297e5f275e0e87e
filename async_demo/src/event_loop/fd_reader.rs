//! Let the loop watch a file descriptor, and read it when it is ready.
//!
//! Python:  `loop.add_reader(fd, callback)`, `loop.remove_reader(fd)`
//! Differs: there is no callback: await `readable`. `AsyncFd` owns the descriptor, needs it non-blocking, and stops watching when
//!          it is dropped. `register` is unsafe because the loop trusts that the descriptor stays open; the safe
//!          `AsyncFd::new` is deprecated for that reason. asyncio uses epoll level-triggered: it calls again as long as data
//!          is left. tokio is told once (edge-triggered) and remembers it until `try_io` sees EAGAIN. Cancelling `readable`
//!          loses nothing.
//! Order:   the next message is written after the last one was read; the end of file comes when the writer is closed.
//! Platform: Unix
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["pipe"] }
//! tokio = { version = "1", features = ["macros", "net", "rt"] }
//! ```

use std::io;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;

const MESSAGES: u32 = 3;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let flags = PipeFlags::NONBLOCK | PipeFlags::CLOEXEC;
    let (reader, writer) = pipe_with(flags).context("create a pipe")?;
    // SAFETY: an OwnedFd keeps the same descriptor open as long as it lives.
    let reader = unsafe { AsyncFd::register(reader) }.context("watch the pipe")?;
    let mut writer = Some(writer);
    println!("the loop watches an empty pipe");
    let mut buffer = [0; 100];
    for round in 1.. {
        if let Some(writer) = &writer {
            let text = format!("message {round}");
            rustix::io::write(writer, text.as_bytes()).context("write to the pipe")?;
        }
        let read = read(&reader, &mut buffer)
            .await
            .context("read from the pipe")?;
        if read == 0 {
            println!("readable: the end");
            break;
        }
        println!("readable: {}", String::from_utf8_lossy(&buffer[..read]));
        if round == MESSAGES {
            writer = None; // Closes the pipe.
        }
    }
    drop(reader);
    println!("the loop watches nothing");
    Ok(())
}

async fn read(fd: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = fd.readable().await?;
        // An `Err` means that the read got EAGAIN, and that the descriptor no longer counts as readable.
        if let Ok(read) = ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buffer)?)) {
            return read;
        }
    }
}
