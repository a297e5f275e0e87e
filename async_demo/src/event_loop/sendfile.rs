//! Send a file to a socket without copying it through the program.
//!
//! Python:  `loop.sendfile(transport, file, offset, count)`
//! Differs: tokio has no sendfile: this calls sendfile(2) of Linux whenever the socket is writable. It sends as much as the socket
//!          takes, so it is called again for the rest, and fails with EAGAIN when the socket is full. If the copy does not
//!          matter, `tokio::io::copy(&mut file, &mut stream)` works for every file, and for TLS. Reading a slow disk blocks
//!          the loop: use `spawn_blocking`. A cancelled `send` has sent a part, up to `offset`.
//! Order:   the receiver begins late, so that the socket is full for a while, and compares the bytes at the end.
//! Platform: Linux (sendfile to a socket; memfd, a file without a name)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["fs"] }
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "time"] }
//! ```

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpListener, TcpStream};

const SECOND: Duration = Duration::from_millis(100);
const OFFSET: usize = 1000;
const COUNT: usize = 16 << 20;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let content: Vec<u8> = (0..OFFSET + COUNT).map(|i| (i % 251) as u8).collect();
    let mut file =
        File::from(memfd_create("content", MemfdFlags::CLOEXEC).context("create a file")?);
    file.write_all(&content).context("fill the file")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let receiver = TcpStream::connect(listener.local_addr()?).await?;
    tokio::try_join!(send(listener, &file), receive(receiver, &content[OFFSET..]))?;
    Ok(())
}

async fn send(listener: TcpListener, file: &File) -> Result<()> {
    let (socket, _) = listener.accept().await.context("accept")?;
    let (mut offset, mut calls) = (OFFSET as u64, 0);
    let end = offset + COUNT as u64;
    while offset < end {
        let left = (end - offset) as usize;
        // Waits and tries again after EAGAIN; otherwise the offset moves by the bytes that were sent.
        let sent = socket.async_io(Interest::WRITABLE, || {
            calls += 1;
            Ok(rustix::fs::sendfile(
                &socket,
                file,
                Some(&mut offset),
                left,
            )?)
        });
        ensure!(
            sent.await.context("send the file")? > 0,
            "the file is too short"
        );
    }
    let calls = if calls > 1 {
        "several calls"
    } else {
        "one call"
    };
    println!("sent {COUNT} bytes from {OFFSET} on, in {calls}");
    Ok(()) // Drops the socket, which is the end for the receiver.
}

async fn receive(mut socket: TcpStream, expected: &[u8]) -> Result<()> {
    tokio::time::sleep(SECOND).await;
    let mut got = Vec::new();
    socket
        .read_to_end(&mut got)
        .await
        .context("receive the file")?;
    let how = if got == expected {
        "as they are in the file"
    } else {
        "damaged"
    };
    println!("received {} bytes, {how}", got.len());
    Ok(())
}
