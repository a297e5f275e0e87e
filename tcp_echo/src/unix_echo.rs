//! Serve on a Unix socket, and ask the system which process the client is.
//!
//! Python:  `asyncio.start_unix_server`, `asyncio.open_unix_connection`, `SO_PEERCRED`
//! Differs: a path stays behind when its server ends, here and in Python before 3.13, and tokio does not remove the old
//!          path before it binds. An abstract name, which starts with a null byte, is not a file: it disappears
//!          with its server, even if that is killed.
//! Order:   the client prints a line after the server has printed and sent it.
//! Platform: Linux (abstract names)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! ```

use std::process;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let name = format!("\0unix_echo.{}", process::id());
    let listener = UnixListener::bind(&name).context("listen")?;
    println!("Serving on {}", name.escape_default());
    tokio::try_join!(serve_one(listener), client(&name))?;
    let gone = UnixStream::connect(&name).await.is_err();
    ensure!(gone, "the name has outlived its server");
    println!("the name is gone with the server");
    Ok(())
}

/// Cancelling it closes the connection and loses the part of a line that it has read.
async fn serve_one(listener: UnixListener) -> Result<()> {
    let (stream, _) = listener.accept().await.context("accept")?;
    let peer = stream.peer_cred().context("read the peer's credentials")?;
    let pid = peer
        .pid()
        .context("the system did not tell the peer's pid")?;
    println!("Server accepts process {pid}");
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = vec![];
        if stream.read_until(b'\n', &mut line).await.context("read")? == 0 {
            println!("Server reads the end");
            return Ok(());
        }
        println!("Server receives {}", line.trim_ascii().escape_ascii());
        stream.write_all(&line).await.context("write")?;
    }
}

async fn client(name: &str) -> Result<()> {
    let stream = UnixStream::connect(name).await.context("connect")?;
    println!("Client process {} is connected", process::id());
    let mut stream = BufReader::new(stream);
    for number in 0..2 {
        let line = format!("line {number}\n");
        stream.write_all(line.as_bytes()).await.context("send")?;
        let mut echo = String::new();
        stream.read_line(&mut echo).await.context("receive")?;
        println!("Client receives {}", echo.trim_end());
    }
    stream.shutdown().await.context("close this side")?;
    let mut rest = vec![];
    let rest = stream
        .read_to_end(&mut rest)
        .await
        .context("read until the end")?;
    println!("Client receives {rest} bytes more");
    Ok(())
}
