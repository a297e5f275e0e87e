//! A file is written and read without blocking the loop, also where a read takes long.
//!
//! Python:  `await asyncio.to_thread(file.write, text)`; aiofiles
//! Differs: `tokio::fs` is what aiofiles is, a thread pool: files are always ready, so no loop can watch them. Each
//!          call is a trip to the pool; who makes many puts them into one `spawn_blocking` with `std::fs`. `write_all`
//!          returns when the text is handed over, and it is `flush` that waits for it and tells of an error: dropped
//!          without it, a file may fail in silence.
//! Order:   each step is awaited. The read of the pipe returns only what the loop writes meanwhile.
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
    let error = missing.err().context("it is not missing")?;
    ensure!(error.kind() == ErrorKind::NotFound, "{error}");
    println!("no such file");
    Ok(())
}

async fn write_and_read() -> Result<()> {
    // A file without a name: whatever happens, nothing is left.
    let file = spawn_blocking(tempfile).await?;
    let mut file = File::from_std(file.context("make a temporary file")?);
    // Dropped at one of these awaits, part of the text may be in the file.
    let written = file.write_all("第一行\n第二行\n".as_bytes()).await;
    written.context("write")?;
    file.flush().await.context("write")?;
    println!("wrote {} bytes", file.metadata().await?.len());
    file.rewind().await.context("go back to the beginning")?;
    let mut lines = BufReader::new(file).lines();
    while let Some(line) = lines.next_line().await.context("read a line")? {
        println!("read {line}");
    }
    Ok(())
}

/// A pipe that is opened as a file: the read blocks a thread of the pool until something is written.
async fn slow_read() -> Result<()> {
    let (reader, mut writer) = pipe().context("make a pipe")?;
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
