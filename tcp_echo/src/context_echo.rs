//! An echo server: each connection's task has its client's address in a context variable, for the farewell.
//!
//! Python:  `asyncio.start_server`, `reader.readline()`, `client_addr_var = ContextVar('client_addr')`
//! Differs: there is no server object: a loop accepts, and each connection is a task, wrapped so that it has a context
//!          of its own. `read_until` has no limit, where `readline` fails at 64 KiB: see serve.
//! Order:   a client's lines and the server's answers call for each other. Two clients have both been answered before
//!          one of them leaves; the third sends nothing, and gets its farewell when it has closed its side.
//! Needs:   context_demo/contextvars.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "sync"] }
//! ```

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::contextvars::{ContextVar, in_context};

static CLIENT_ADDR: ContextVar<SocketAddr> = ContextVar::new("client_addr");

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let addr = listener.local_addr().context("the server's address")?;
    println!("Serving on {}", tuple(addr));
    tokio::select! {
        // A server that is dropped here drops its connections, too; by then all clients have left.
        failed = serve(listener) => failed,
        ended = clients(addr) => ended,
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

/// Dropped at an await, it closes the connection, and what it has read of a line is lost.
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
    stream.write_all(goodbye.as_bytes()).await.context("part")
}

/// Knows the client without being told.
fn render_goodbye() -> Result<String> {
    let addr = CLIENT_ADDR.get()?;
    Ok(format!("Good bye, client @ {}\n", tuple(addr)))
}

async fn clients(addr: SocketAddr) -> Result<()> {
    let both = Barrier::new(2);
    let (one, two) = (talk(1, addr, &both), talk(2, addr, &both));
    tokio::try_join!(one, two, leave(3, addr)).map(drop)
}

async fn talk(number: u32, addr: SocketAddr, both: &Barrier) -> Result<()> {
    let mut stream = BufReader::new(connect(number, addr).await?);
    let hello = format!("hello from {number}\n");
    stream.write_all(hello.as_bytes()).await.context("send")?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await.context("the echo")?;
    println!("client {number} receives {}", answer.trim_end());
    both.wait().await;
    stream.write_all(b"\n").await.context("send")?;
    farewell(number, stream).await
}

async fn leave(number: u32, addr: SocketAddr) -> Result<()> {
    let mut stream = connect(number, addr).await?;
    stream.shutdown().await.context("close this side")?;
    farewell(number, stream).await
}

async fn connect(number: u32, addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(addr).await.context("connect")?;
    let own = stream.local_addr().context("the client's address")?;
    println!("client {number} is {}", tuple(own));
    Ok(stream)
}

async fn farewell(number: u32, mut stream: impl AsyncReadExt + Unpin) -> Result<()> {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.context("the farewell")?;
    println!("client {number} receives {}", answer.trim_end());
    Ok(())
}

/// As Python shows an address.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
