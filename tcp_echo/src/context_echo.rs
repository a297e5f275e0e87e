//! Serve each TCP client in a task that keeps its address in a context variable.
//!
//! Python:  `asyncio.start_server`, `reader.readline()`, `client_addr_var = ContextVar('client_addr')`
//! Differs: there is no server object: a loop accepts connections and spawns a task for each, wrapped in `in_context`.
//!          `read_until` has no limit, where `readline` fails at 64 KiB; serve shows a limit.
//! Order:   all clients are connected before the first one leaves. The last one sends nothing, and still gets its farewell.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! contextvars = "0.1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! ```

use std::net::SocketAddr;

use anyhow::{Context, Result};
use contextvars::{ContextVar, in_context};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

static CLIENT_ADDR: ContextVar<SocketAddr> = ContextVar::new("client_addr");
/// The clients that send a line.
const TALKERS: usize = 2;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let addr = listener.local_addr().context("read the server's address")?;
    println!("Serving on {}", tuple(addr));
    tokio::select! {
        failed = serve(listener) => failed,
        ended = clients(addr) => ended, // Drops the server, and with it the connections that are left.
    }
}

/// Runs until a connection fails.
async fn serve(listener: TcpListener) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, addr) = accepted.context("accept")?;
                connections.spawn(in_context(handle_request(stream, addr)));
            }
            Some(ended) = connections.join_next() => ended.context("wait for a connection")??,
        }
    }
}

/// Cancelling it closes the connection and loses the part of a line that it has read.
async fn handle_request(stream: TcpStream, addr: SocketAddr) -> Result<()> {
    CLIENT_ADDR.set(addr);
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = vec![];
        stream.read_until(b'\n', &mut line).await.context("read")?;
        println!("b'{}'", line.escape_ascii());
        if line.trim_ascii().is_empty() {
            break;
        }
        stream.write_all(&line).await.context("write")?;
    }
    let goodbye = render_goodbye()?;
    let written = stream.write_all(goodbye.as_bytes()).await;
    written.context("write the farewell")
}

/// Reads the address without getting it as an argument.
fn render_goodbye() -> Result<String> {
    let addr = CLIENT_ADDR.get()?;
    Ok(format!("Good bye, client @ {}\n", tuple(addr)))
}

async fn clients(addr: SocketAddr) -> Result<()> {
    let mut clients = vec![];
    for number in 1..=TALKERS + 1 {
        let stream = TcpStream::connect(addr).await.context("connect")?;
        let own = stream.local_addr().context("read the client's address")?;
        println!("client {number} is {}", tuple(own));
        clients.push((number, BufReader::new(stream)));
    }
    let mut answer = String::new();
    for (number, stream) in clients.iter_mut().take(TALKERS) {
        let hello = format!("hello from {number}\n");
        stream.write_all(hello.as_bytes()).await.context("send")?;
        stream
            .read_line(&mut answer)
            .await
            .context("read the echo")?;
        println!("client {number} receives {}", answer.trim_end());
        answer.clear();
    }
    for (number, mut stream) in clients {
        match number {
            1..=TALKERS => stream
                .write_all(b"\n")
                .await
                .context("send an empty line")?,
            _ => stream.shutdown().await.context("close this side")?,
        }
        let read = stream.read_to_string(&mut answer).await;
        read.context("read the farewell")?;
        println!("client {number} receives {}", answer.trim_end());
        answer.clear();
    }
    Ok(())
}

/// Formats an address as Python does.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
