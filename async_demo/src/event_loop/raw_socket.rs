//! Sockets without streams: bind, listen, accept, connect, and each read and write as the system call that it is.
//!
//! Python:  `loop.sock_accept`, `sock_connect`, `sock_recv`, `sock_sendall`
//! Differs: `TcpSocket` is the socket before it is connected or listens; then it is a `TcpStream`, whose `try_read`
//!          and `try_write` are recv and send that fail with `WouldBlock` rather than wait. `readable` and `writable`
//!          wait. `TcpListener::from_std` and `TcpStream::from_std` take a socket that is there (and non-blocking).
//! Notes:   dropping `sock_recv` at its await loses nothing. `sock_sendall` that is dropped has sent some of it, and
//!          nobody knows how much.
//! Order:   each side in its own order; the server answers when it has everything, which the client has sent before.
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
    let socket = TcpSocket::new_v4().context("make a socket")?;
    socket.bind("127.0.0.1:0".parse()?).context("bind")?;
    let listener = socket.listen(1).context("listen")?;
    let address = listener.local_addr().context("ask for the address")?;
    println!("the server listens");
    tokio::try_join!(serve(listener), ask(address))?;
    println!("all sockets are closed");
    Ok(())
}

async fn serve(listener: TcpListener) -> Result<()> {
    let (socket, _) = listener.accept().await.context("accept")?;
    println!("server: a client is here");
    let (mut buffer, mut got) = (vec![0; 1 << 16], 0);
    loop {
        let n = sock_recv(&socket, &mut buffer).await.context("receive")?;
        if n == 0 {
            break;
        }
        got += n;
    }
    println!("server: got {got} bytes, and the end");
    let answer = format!("you have sent {got} bytes");
    sock_sendall(&socket, answer.as_bytes())
        .await
        .context("answer")
}

async fn ask(address: SocketAddr) -> Result<()> {
    let socket = TcpSocket::new_v4().context("make a socket")?;
    let mut socket = socket.connect(address).await.context("connect")?;
    println!("client: connected");
    sock_sendall(&socket, &vec![b'x'; MANY])
        .await
        .context("send")?;
    socket.shutdown().await.context("end what I send")?;
    let (mut buffer, mut answer) = ([0; 100], Vec::new());
    loop {
        let n = sock_recv(&socket, &mut buffer).await.context("receive")?;
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
    }
    println!("client: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

async fn sock_recv(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        match socket.try_read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read,
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
