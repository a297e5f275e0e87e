//! Exchange UDP datagrams, and learn that no socket listens any more.
//!
//! Python:  `loop.create_datagram_endpoint` with a `DatagramProtocol`; asyncio has no streams for datagrams
//! Differs: there are no callbacks: `recv_from` is awaited, and `error_received` is the error of the next `send` or `recv`.
//!          A datagram that does not fit the buffer is cut off. An empty one is sent (by asyncio since 3.13) and does not
//!          mean the end. On a real network datagrams get lost or arrive twice: the client waits a limited time, then
//!          asks again.
//! Order:   the client prints an answer after the server has printed and sent it.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "net", "rt", "time"] }
//! ```

use std::net::SocketAddr;
use std::time::Duration;
use std::{io, str};

use anyhow::{Context, Result, bail};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Much longer than an answer takes.
const ANSWER: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let server = UdpSocket::bind("127.0.0.1:0").await.context("bind")?;
    let addr = server.local_addr().context("read the server's address")?;
    println!("Serving on {}", tuple(addr));
    let client = UdpSocket::bind("127.0.0.1:0").await.context("bind")?;
    client.connect(addr).await.context("connect")?;
    let own = client.local_addr().context("read the client's address")?;
    println!("Client is {}", tuple(own));

    // Cancelling `recv_from` loses no datagram: it is read whole, or stays in the socket.
    tokio::select! {
        failed = serve(server) => failed?,
        asked = async {
            for message in ["one", "two", "three"] {
                println!("Client receives '{}'", ask(&client, message).await?);
            }
            anyhow::Ok(())
        } => asked?,
    }

    match ask(&client, "four").await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            println!("Client learns that no socket listens");
        }
        other => bail!("the server has left, but the client got {other:?}"),
    }
    Ok(())
}

async fn serve(server: UdpSocket) -> Result<()> {
    let mut buffer = [0; 1500];
    loop {
        let (count, addr) = server.recv_from(&mut buffer).await.context("receive")?;
        let message = str::from_utf8(&buffer[..count]).context("decode the message")?;
        println!("Server receives '{message}' from {}", tuple(addr));
        server
            .send_to(&buffer[..count], addr)
            .await
            .context("answer")?;
    }
}

/// Asks up to three times. A late answer would count as the answer to the next question: a real protocol numbers them.
async fn ask(client: &UdpSocket, message: &str) -> io::Result<String> {
    let mut buffer = [0; 1500];
    for _ in 0..3 {
        client.send(message.as_bytes()).await?;
        if let Ok(received) = timeout(ANSWER, client.recv(&mut buffer)).await {
            return Ok(String::from_utf8_lossy(&buffer[..received?]).into_owned());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Formats an address as Python does.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
