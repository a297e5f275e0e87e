//! The loop watches a file descriptor of one's own and says when it can be read.
//!
//! Python:  `loop.add_reader(fd, callback)`, `loop.remove_reader(fd)`
//! Differs: no callback: `readable` is awaited, in a loop of one's own. `AsyncFd` takes the descriptor, stops
//!          watching it when it is dropped, and wants it non-blocking. `register` is unsafe since the loop trusts
//!          that nobody closes the descriptor behind its back; the safe `AsyncFd::new` is deprecated for that.
//! Notes:   asyncio asks epoll level-triggered: it calls again as long as anything can be read. tokio is told once
//!          (edge-triggered) and remembers it, until `try_io` has seen EAGAIN: so read until then, or go through
//!          `try_io`. Dropping `readable` loses nothing.
//! Order:   the next byte is written when the last one was read; the end of file comes when the writer is closed.
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

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let flags = PipeFlags::NONBLOCK | PipeFlags::CLOEXEC;
    let (reader, writer) = pipe_with(flags).context("make a pipe")?;
    // SAFETY: an OwnedFd is open as long as it exists, and is always the same descriptor.
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
        if round == 3 {
            writer = None; // Closes it.
        }
    }
    drop(reader);
    println!("the loop watches nothing");
    Ok(())
}

async fn read(fd: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = fd.readable().await?;
        // An error here is not the read's: it was EAGAIN, and the descriptor no longer counts as readable.
        if let Ok(read) = ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buffer)?)) {
            return read;
        }
    }
}
