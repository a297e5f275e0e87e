//! A server and two clients in one program: both sides count to each other, until a client has had enough.
//!
//! Python:  `asyncio.start_server`, `open_connection`, `reader.read(20)`, `wait(..., return_when=FIRST_EXCEPTION)`
//! Differs: `try_join!` is FIRST_EXCEPTION: it ends with the first error and drops the other half. The notes connect
//!          before the server listens, and never look for the end of the stream, which `read` tells for ever. Bytes
//!          have no boundaries: a read may bring half a message or two, so each ends with a full stop here.
//! Order:   each side's counts come in their order; how many the server gets to send depends on the machine.
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
    let addr = server.local_addr().context("the server's address")?;
    println!("Serving on {}", tuple(addr));
    let (client, other) = (tcp_client(addr), tcp_client(addr));
    tokio::try_join!(tcp_server(server), client, other).map(drop)
}

async fn tcp_server(server: TcpListener) -> Result<()> {
    let mut agents = JoinSet::new();
    for _ in 0..2 {
        let (stream, addr) = server.accept().await.context("accept")?;
        agents.spawn(tcp_agent(stream, addr));
    }
    while let Some(ended) = agents.join_next().await {
        ended.context("wait for an agent")?;
    }
    Ok(())
}

async fn tcp_agent(stream: TcpStream, addr: SocketAddr) {
    println!("Accept peer {}", tuple(addr));
    talk(
        stream,
        format!("Server receive from {}", tuple(addr)),
        "server",
        0..,
    )
    .await;
}

async fn tcp_client(addr: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(addr).await.context("connect")?;
    let own = stream.local_addr().context("the client's address")?;
    talk(
        stream,
        format!("Client {} receive", tuple(own)),
        "client",
        0..3,
    )
    .await;
    Ok(())
}

/// Who is cancelled here loses what it has read of a message, and the peer what was not yet written of one.
async fn talk(stream: TcpStream, name: String, side: &str, counts: impl Iterator<Item = u64>) {
    let (reader, writer) = stream.into_split();
    // The writer is polled first, so that it has sent something before the reader may find the end.
    let Err(why) = tokio::try_join!(biased; write(writer, side, counts), read(reader, &name));
    println!("{name}: {why}");
}

/// When it has counted enough, the writer is dropped, and the peer reads the end of the stream.
async fn write(
    mut writer: OwnedWriteHalf,
    side: &str,
    counts: impl Iterator<Item = u64>,
) -> Result<()> {
    for count in counts {
        let message = format!("{side} count {count}.");
        writer.write_all(message.as_bytes()).await?;
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

/// As Python shows an address.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
