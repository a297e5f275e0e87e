//! An echo server that stays up: limits on connections, lines and patience; Ctrl-C lets its clients end their lines.
//!
//! Python:  `await srv.serve_forever()`, and `telnet 127.0.0.1 8081`
//! Usage:   serve [--addr IP:PORT] [limits, see --help]; serve --connect IP:PORT
//! Serves:  until Ctrl-C
//! Differs: `start_server` limits nothing but the line, and Ctrl-C cuts all clients off. Nothing is printed for a line:
//!          whoever reads the output too slowly would stop the server. All cores serve.
//! Order:   a session's lines come one after the other; the server is told to stop when it is over.
//! Needs:   options.rs, server.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt-multi-thread", "signal", "sync", "time"] }
//! ```

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::{env, io, io::Write, process};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::options::{HELP, Options, parse};
use crate::server::{Protocol, Server};

#[tokio::main]
pub async fn main() -> Result<()> {
    // The arguments follow the program's name, and in a module of a larger program the module's name.
    let args: Vec<String> = env::args_os()
        .skip(module_path!().split("::").count())
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{}", HELP);
        return Ok(());
    }
    let options = parse(&args).unwrap_or_else(|usage| {
        eprintln!("serve: {usage}");
        process::exit(2)
    });
    match options.connect {
        Some(addr) => session(addr).await,
        None => serve(options).await,
    }
}

async fn serve(options: Options) -> Result<()> {
    // From here on a signal is no longer the end of the process.
    let mut int = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
    let mut term = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    let default = SocketAddr::from(([127, 0, 0, 1], 8081));
    let addr = options.addr.unwrap_or(default);
    let server = Server::bind(addr, options.limits).await;
    let server = server.map_err(|error| anyhow!("cannot listen on {addr}: {error}"))?;
    say(&format!(
        "Serving on {}",
        tuple(server.local_addr().context("the server's address")?)
    ));
    let stop = async {
        let name = tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
        };
        let drain = options.limits.drain.as_secs_f64();
        say(&format!("{name}: draining for at most {drain} s"));
    };
    say(&server.run(Echo, stop).await.to_string());
    Ok(())
}

/// If nobody reads it, the clients are served all the same.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

#[derive(Clone)]
struct Echo;

impl Protocol for Echo {
    fn line(&self, line: &[u8], _: SocketAddr, answer: &mut Vec<u8>) -> ControlFlow<()> {
        if line.trim_ascii().is_empty() {
            return ControlFlow::Break(());
        }
        answer.extend_from_slice(line);
        ControlFlow::Continue(())
    }

    fn goodbye(&self, peer: SocketAddr, answer: &mut Vec<u8>) {
        answer.extend_from_slice(format!("Good bye, client @ {}\n", tuple(peer)).as_bytes());
    }
}

/// What one would type into telnet.
async fn session(addr: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(addr).await;
    let stream = stream.map_err(|error| anyhow!("cannot connect to {addr}: {error}"))?;
    println!(
        "Client is {}",
        tuple(stream.local_addr().context("the client's address")?)
    );
    let mut stream = BufReader::new(stream);
    for line in ["hello\r\n", "你好\r\n", "\r\n"] {
        stream.write_all(line.as_bytes()).await.context("send")?;
        let mut answer = String::new();
        let count = stream.read_line(&mut answer).await.context("receive")?;
        ensure!(count > 0, "the server has left");
        println!("Client receives {}", answer.trim_end());
    }
    let count = stream.read(&mut [0]).await.context("the end")?;
    ensure!(count == 0, "the server goes on behind its farewell");
    Ok(())
}

/// As Python shows an address.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
