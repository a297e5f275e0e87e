//! Use sockets without streams: bind, listen, accept, connect, read, write.
//!
//! Python:  `loop.sock_accept`, `sock_connect`, `sock_recv`, `sock_sendall`
//! Differs: a `TcpSocket` is not connected and does not listen yet. As a `TcpStream`, its `try_read` and `try_write` are recv and
//!          send, which fail with `WouldBlock` instead of waiting; `readable` and `writable` wait. `TcpListener::from_std` and
//!          `TcpStream::from_std` take an existing (non-blocking) socket. Cancelling `readable` loses nothing. A cancelled
//!          `sock_recv_all` loses the bytes read so far, and a cancelled `sock_sendall` has sent an unknown part.
//! Order:   the client sends everything, the server receives it, and then the server answers.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! ```

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const MANY: usize = 1 << 20;

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let socket = TcpSocket::new_v4().context("create a socket")?;
    socket.bind("127.0.0.1:0".parse()?).context("bind")?;
    let listener = socket.listen(1).context("listen")?;
    let address = listener.local_addr().context("read the address")?;
    println!("the server listens");
    tokio::try_join!(serve(listener), ask(address))?;
    println!("all sockets are closed");
    Ok(())
}

async fn serve(listener: TcpListener) -> Result<()> {
    let (socket, _) = listener.accept().await.context("accept")?;
    println!("server: a client is here");
    let got = sock_recv_all(&socket).await.context("receive")?.len();
    println!("server: got {got} bytes, and the end");
    let answer = format!("you have sent {got} bytes");
    sock_sendall(&socket, answer.as_bytes())
        .await
        .context("answer")
}

async fn ask(address: SocketAddr) -> Result<()> {
    let socket = TcpSocket::new_v4().context("create a socket")?;
    let mut socket = socket.connect(address).await.context("connect")?;
    println!("client: connected");
    sock_sendall(&socket, &vec![b'x'; MANY])
        .await
        .context("send")?;
    socket.shutdown().await.context("close this side")?;
    let answer = sock_recv_all(&socket).await.context("receive")?;
    println!("client: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Receives until the other side closes.
async fn sock_recv_all(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut buffer, mut got) = (vec![0; 1 << 16], Vec::new());
    loop {
        socket.readable().await?;
        match socket.try_read(&mut buffer) {
            Ok(0) => return Ok(got),
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn sock_sendall(socket: &TcpStream, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        socket.writable().await?;
        match socket.try_write(data) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            sent => data = &data[sent?..],
        }
    }
    Ok(())
}
