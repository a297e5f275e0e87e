//! Upgrade a plain connection to TLS; the client verifies the server or leaves.
//!
//! Python:  `await writer.start_tls(context, server_hostname='localhost')`, since 3.11
//! Differs: an upgrade consumes the plain stream, so no code can use it by mistake. Plain bytes after the request must
//!          not count as sent under TLS: the server refuses them. A stream that ends without TLS's close
//!          message is an error. The program makes its certificate; Python's library cannot make one.
//! Order:   each side waits for the other's message. A server whose certificate is refused gets an error.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rcgen = { version = "0.14", default-features = false, features = ["ring"] }
//! rustls = { version = "0.23", default-features = false, features = ["ring", "std"] }
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }
//! tokio-rustls = { version = "0.26", default-features = false, features = ["ring"] }
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let own = generate_simple_self_signed(["localhost".to_owned()]);
    let own = own.context("make a certificate")?;
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let certificate = own.cert.der().clone();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .context("set up the server")?;
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let addr = listener.local_addr().context("read the server's address")?;
    println!("Serving on ('{}', {})", addr.ip(), addr.port());
    let trusting = client(addr, Some(certificate));
    tokio::try_join!(serve(&listener, &acceptor), trusting)?;

    println!("A client without a trusted certificate");
    let (served, refused) = tokio::join!(serve(&listener, &acceptor), client(addr, None));
    ensure!(
        served.is_err() && refused.is_err(),
        "an unknown certificate was trusted"
    );
    Ok(())
}

/// Cancelling it closes the connection, also in the middle of a handshake.
async fn serve(listener: &TcpListener, acceptor: &TlsAcceptor) -> Result<()> {
    let (stream, _) = listener.accept().await.context("accept")?;
    let mut plain = BufReader::new(stream);
    println!("Server receives in plain: {}", read_line(&mut plain).await?);
    ensure!(
        plain.buffer().is_empty(),
        "the client did not wait for the answer"
    );
    let answered = plain.write_all(b"go ahead\n").await;
    answered.context("answer in plain")?;

    let accepted = acceptor.accept(plain.into_inner()).await;
    let tls =
        accepted.inspect_err(|_| println!("Server is told that its certificate is refused"))?;
    println!("Server is under TLS");
    let mut tls = BufReader::new(tls);
    let line = read_line(&mut tls).await?;
    println!("Server receives under TLS: {line}");
    tls.write_all(line.as_bytes()).await.context("answer")?;
    tls.shutdown().await.context("end TLS")
}

async fn client(addr: SocketAddr, trusted: Option<CertificateDer<'static>>) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut plain = BufReader::new(TcpStream::connect(addr).await.context("connect")?);
    let asked = plain.write_all(b"STARTTLS\n").await;
    asked.context("ask in plain")?;
    let answer = read_line(&mut plain).await?;
    println!("Client receives in plain: {answer}");
    ensure!(
        answer == "go ahead" && plain.buffer().is_empty(),
        "the server refuses TLS: {answer}"
    );

    let name = ServerName::try_from("localhost").context("the server's name")?;
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, plain.into_inner()).await;
    let mut tls = connected.inspect_err(|_| println!("Client refuses the certificate"))?;
    println!("Client has verified localhost");
    tls.write_all(b"secret\n").await.context("write")?;
    let mut echo = String::new();
    let read = tls.read_to_string(&mut echo).await;
    read.context("read until TLS ends")?;
    println!("Client receives under TLS: {echo}");
    Ok(())
}

async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.context("read a line")?;
    Ok(line.trim_end().to_owned())
}
