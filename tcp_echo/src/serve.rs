//! Run an echo server with limits on connections, lines and time; drain at Ctrl-C.
//!
//! Python:  `await srv.serve_forever()`, and `telnet 127.0.0.1 8081`
//! Usage:   serve [--addr IP:PORT] [limits, see --help]; serve --connect IP:PORT
//! Serves:  until Ctrl-C
//! Differs: `start_server` limits only the length of a line, and Ctrl-C cuts all clients off. This server uses all cores.
//!          It does not print the lines that it echoes: a slow reader of its output would stop the server.
//! Order:   the lines of a session come in order. SIGINT comes after the session.
//! Needs:   server.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! clap = { version = "4", features = ["derive"] }
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt-multi-thread", "signal", "sync", "time"] }
//! ```

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;
use std::{env, io, io::Write, process};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Parser, value_parser};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::server::{Limits, Protocol, Server};

/// An echo server until SIGINT or SIGTERM, or a session with one that runs.
#[derive(Parser)]
#[command(name = "serve")]
struct Options {
    /// Address to listen on; port 0 is any free port
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8081", value_parser = address)]
    addr: SocketAddr,
    /// Open a session with the server at this address instead
    #[arg(long, value_name = "IP:PORT", exclusive = true, value_parser = address)]
    connect: Option<SocketAddr>,
    /// Clients served at once; further ones are told so and closed
    #[arg(long, value_name = "NUMBER", default_value = "256", value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Longest line; a longer one ends its connection
    #[arg(long, value_name = "BYTES", default_value = "65536", value_parser = value_parser!(u32).range(1..))]
    line: u32,
    /// Time that a client may take to send a line, or to read its answer
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle: Duration,
    /// Time that all clients may take to end their lines when the server stops
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    drain: Duration,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse();
    address.map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8081".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|s| *s > 0.0 && *s <= 1e6);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "expected seconds, more than 0 and at most 1000000".to_owned())
}

#[tokio::main]
pub async fn main() -> Result<()> {
    let options = options();
    match options.connect {
        Some(addr) => session(addr).await,
        None => serve(options).await,
    }
}

/// Returns the options. Ends the program with the help, or with one line that says what is wrong and exit code 2.
fn options() -> Options {
    // In a program of several examples, the example's name precedes the arguments.
    let args = env::args_os().skip(module_path!().split("::").count() - 1);
    Options::try_parse_from(args).unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let text = error.to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
        eprintln!("serve: {}", line.trim_start_matches("error: "));
        process::exit(2)
    })
}

async fn serve(options: Options) -> Result<()> {
    // From here on a signal no longer ends the process.
    let mut int = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
    let mut term = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    let (addr, drain) = (options.addr, options.drain);
    let limits = Limits {
        connections: options.connections as usize,
        line: options.line as usize,
        idle: options.idle,
        drain,
    };
    let server = Server::bind(addr, limits).await;
    let server = server.map_err(|error| anyhow!("cannot listen on {addr}: {error}"))?;
    let own = server.local_addr().context("read the server's address")?;
    say(&format!("Serving on {}", tuple(own)));
    let stop = async {
        let name = tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
        };
        say(&format!(
            "{name}: draining for at most {} s",
            drain.as_secs_f64()
        ));
    };
    say(&server.run(Echo, stop).await.to_string());
    Ok(())
}

/// Prints the line if possible: without a reader of the output the server goes on.
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

/// Sends what one would type into telnet.
async fn session(addr: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(addr).await;
    let stream = stream.map_err(|error| anyhow!("cannot connect to {addr}: {error}"))?;
    let own = stream.local_addr().context("read the client's address")?;
    println!("Client is {}", tuple(own));
    let mut stream = BufReader::new(stream);
    for line in ["hello\r\n", "你好\r\n", "\r\n"] {
        stream.write_all(line.as_bytes()).await.context("send")?;
        let mut answer = String::new();
        let count = stream.read_line(&mut answer).await.context("receive")?;
        ensure!(count > 0, "the server closed the connection too early");
        println!("Client receives {}", answer.trim_end());
    }
    let count = stream.read(&mut [0]).await.context("read the end")?;
    ensure!(count == 0, "the server sent more after its farewell");
    Ok(())
}

/// Formats an address as Python does.
fn tuple(addr: SocketAddr) -> String {
    format!("('{}', {})", addr.ip(), addr.port())
}
