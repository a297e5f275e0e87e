//! Use both ends of a pipe as streams, with more data than the pipe holds.
//!
//! Python:  `loop.connect_read_pipe`, `loop.connect_write_pipe`
//! Differs: `pipe::pipe` creates both ends; `Sender::from_owned_fd` takes an existing one, for instance from a child. There is no
//!          protocol, transport or `drain`: `write_all` returns when the pipe has taken everything, which is back-pressure.
//!          Cancelling `write_all` leaves an unknown part written; cancelling `read_line` loses a part of the line, which
//!          `read_until` keeps.
//! Order:   only the reader prints, in the order of the pipe.
//! Platform: Unix
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! ```

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

const LINES: u32 = 3;
const MANY: usize = 1 << 20;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (sender, receiver) = pipe::pipe().context("create a pipe")?;
    tokio::try_join!(write(sender), read(receiver))?;
    println!("both ends are closed");
    Ok(())
}

/// Drops the sender at its end, which is the end of file for the reader.
async fn write(mut sender: pipe::Sender) -> Result<()> {
    for number in 1..=LINES {
        let line = format!("line {number}\n");
        sender
            .write_all(line.as_bytes())
            .await
            .context("write a line")?;
    }
    sender
        .write_all(&vec![b'x'; MANY])
        .await
        .context("write many bytes")
}

async fn read(receiver: pipe::Receiver) -> Result<()> {
    let mut reader = BufReader::new(receiver);
    for _ in 0..LINES {
        let mut line = String::new();
        reader.read_line(&mut line).await.context("read a line")?;
        println!("got {}", line.trim_end());
    }
    let mut rest = Vec::new();
    reader
        .read_to_end(&mut rest)
        .await
        .context("read the rest")?;
    let all = rest.iter().all(|byte| *byte == b'x');
    println!(
        "got {} bytes, then the end: {}",
        rest.len(),
        if all { "all are x" } else { "damaged" }
    );
    Ok(())
}
