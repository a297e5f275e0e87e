//! Run a server and two clients in one program that count to each other.
//!
//! Python:  `asyncio.start_server`, `open_connection`, `reader.read(20)`, `wait(..., return_when=FIRST_EXCEPTION)`
//! Differs: `try_join!` is FIRST_EXCEPTION: it returns the first error and drops the other half. The notes connect before
//!          the server listens, and never check for the end of the stream. TCP keeps no message boundaries: one read may
//!          return half a message or two, so each message ends with a full stop here.
//! Order:   each side's counts arrive in order. The number of the server's messages depends on the machine.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "time"] }
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let server = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let addr = server.local_addr().context("read the server's address")?;
    println!("Serving on {}", tuple(addr));
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        clients.spawn(tcp_client(addr));
    }
    let ended = async {
        while let Some(ended) = clients.join_next().await {
            ended.context("wait for a client")??;
        }
        Ok(())
    };
    tokio::select! {
        failed = tcp_server(server) => failed,
        ended = ended => ended,
    }
}

async fn tcp_server(server: TcpListener) -> Result<()> {
    loop {
        let (stream, addr) = server.accept().await.context("accept")?;
        println!("Accept peer {}", tuple(addr));
        let name = format!("Server receive from {}", tuple(addr));
        tokio::spawn(talk(stream, name, "server", 0..u64::MAX));
    }
}

async fn tcp_client(addr: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(addr).await.context("connect")?;
    let own = stream.local_addr().context("read the client's address")?;
    let name = format!("Client {} receive", tuple(own));
    talk(stream, name, "client", 0..3).await;
    Ok(())
}

/// Cancelling it loses the part of a message that it has read, and the peer gets only a part of one.
async fn talk(stream: TcpStream, name: String, side: &str, counts: std::ops::Range<u64>) {
    let (reader, writer) = stream.into_split();
    // `biased` polls the writer first, so that it sends its first message before the reader can see the end.
    let Err(why) = tokio::try_join!(biased; write(writer, side, counts), read(reader, &name));
    println!("{name}: {why}");
}

/// Drops the writer after the last count, so that the peer reads the end of the stream.
async fn write(mut to: OwnedWriteHalf, side: &str, counts: std::ops::Range<u64>) -> Result<()> {
    for count in counts {
        let message = format!("{side} count {count}.");
        to.write_all(message.as_bytes()).await?;
        sleep(SECOND).await;
    }
    Ok(())
}

async fn read(mut reader: OwnedReadHalf, name: &str) -> Result<Infallible> {
    let (mut data, mut messages) = (vec![], 0);
    loop {
        // At most 20 bytes at a time.
        if (&mut reader).take(20).read_buf(&mut data).await? == 0 {
            bail!("the peer has left after {messages} messages");
        }
        while let Some(end) = data.iter().position(|byte| *byte == b'.') {
            let message: Vec<u8> = data.drain(..=end).collect();
            println!("{name}: '{}'", message.escape_ascii());
            messages += 1;
        }
    }
}

/// Formats an address as Python does.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
