//! Write and read a file without blocking the loop, also when a read takes long.
//!
//! Python:  `await asyncio.to_thread(file.write, text)`; aiofiles
//! Differs: `tokio::fs` is a thread pool, as aiofiles is: files are always ready, so no loop can watch them. Each call is a round
//!          trip to the pool, so put many calls into one `spawn_blocking` with `std::fs`. `write_all` returns before the text is
//!          written; `flush` waits for it and returns the error. A file that is dropped without it may fail silently.
//! Order:   main awaits each step. The read of the pipe returns only text that the loop writes meanwhile.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tempfile = "3"
//! tokio = { version = "1", features = ["fs", "io-util", "macros", "rt"] }
//! ```

use std::fs;
use std::io::{ErrorKind, Write, pipe};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use tempfile::tempfile;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};
use tokio::task::{spawn_blocking, yield_now};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    write_and_read().await?;
    slow_read().await?;
    let missing = tokio::fs::read_to_string("/nowhere/at/all").await;
    let error = missing.err().context("the missing file exists")?;
    ensure!(error.kind() == ErrorKind::NotFound, "{error}");
    println!("no such file");
    Ok(())
}

async fn write_and_read() -> Result<()> {
    // A file without a name, so nothing is left behind in any case.
    let file = spawn_blocking(tempfile).await?;
    let mut file = File::from_std(file.context("create a temporary file")?);
    // Cancelled at one of these awaits, it may leave a part of the text in the file.
    let written = file.write_all("第一行\n第二行\n".as_bytes()).await;
    written.context("write")?;
    file.flush().await.context("flush")?;
    println!("wrote {} bytes", file.metadata().await?.len());
    file.rewind().await.context("rewind")?;
    let mut lines = BufReader::new(file).lines();
    while let Some(line) = lines.next_line().await.context("read a line")? {
        println!("read {line}");
    }
    Ok(())
}

/// Reads a pipe as a file. The read blocks a thread of the pool until the loop writes.
async fn slow_read() -> Result<()> {
    let (reader, mut writer) = pipe().context("create a pipe")?;
    let mut file = File::from_std(fs::File::from(OwnedFd::from(reader)));
    let reading = tokio::spawn(async move {
        println!("a read begins");
        let mut text = String::new();
        file.read_to_string(&mut text).await.map(|_| text)
    });
    yield_now().await;
    println!("the loop goes on");
    writer.write_all("迟到的文字".as_bytes())?;
    drop(writer);
    println!("read {}", reading.await?.context("read the pipe")?);
    Ok(())
}
