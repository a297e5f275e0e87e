//! A file goes to a socket without passing through the program: the kernel copies it.
//!
//! Python:  `loop.sendfile(transport, file, offset, count)`
//! Differs: tokio has none: this is sendfile(2) of Linux, tried whenever the socket can be written. It sends as much
//!          as the socket takes, so it is called again with what is left, and says EAGAIN when that is nothing. Where
//!          the copy does not matter, `tokio::io::copy(&mut file, &mut stream)` does for every kind of file, and for
//!          TLS.
//! Notes:   reading the file may block the loop, since a disk is never "not ready"; with a slow one, do it in
//!          `spawn_blocking`. `send` that is dropped has sent a part, as `offset` says.
//! Order:   the receiver begins late, so that the socket is full for a while, and compares when it has the end.
//! Linux:   sendfile with a socket, and memfd, a file that needs no name.
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
    let mut file = File::from(memfd_create("content", MemfdFlags::CLOEXEC).context("make a file")?);
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
        // Waits after EAGAIN, and tries again; otherwise the offset moves by what was sent.
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
    ensure!(calls > 1, "the socket took everything at once");
    println!("sent {COUNT} bytes from {OFFSET} on, in more than one call");
    Ok(()) // And the socket is closed.
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
