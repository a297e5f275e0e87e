//! Both ends of a pipe as streams of the loop: lines, then more than the pipe can hold, then the end.
//!
//! Python:  `loop.connect_read_pipe`, `loop.connect_write_pipe`
//! Differs: `pipe::pipe` makes both ends, `Sender::from_owned_fd` takes one that is there, for instance from a child;
//!          no protocol, transport or `drain`: `write_all` returns when the pipe has taken everything, so a slow
//!          reader holds the writer up by itself.
//! Notes:   `write_all` that is dropped at its await has written some of it, and nobody knows how much; `read_line`
//!          that is dropped loses what it has read of the line; `read_until` keeps it.
//! Order:   only the reader prints, in the order of the pipe.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! ```

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

const MANY: usize = 1 << 20;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let (sender, receiver) = pipe::pipe().context("make a pipe")?;
    tokio::try_join!(write(sender), read(receiver))?;
    println!("both ends are closed");
    Ok(())
}

/// Ends by dropping the sender, which is the end of file for the reader.
async fn write(mut sender: pipe::Sender) -> Result<()> {
    for number in 1..=3 {
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
    for _ in 0..3 {
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
