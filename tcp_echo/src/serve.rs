//! An echo server that stays up: limits on connections, lines and patience; Ctrl-C lets its clients end their lines.
//!
//! Python:  `await srv.serve_forever()`, and `telnet 127.0.0.1 8081`
//! Usage:   serve --addr IP:PORT and limits, until Ctrl-C, see --help; by default one session with a server of its own
//! Differs: `start_server` limits nothing but the line, and Ctrl-C cuts all clients off. Nothing is printed for a line:
//!          whoever reads the output too slowly would stop the server. All cores serve.
//! Order:   a session's lines come one after the other; the server is told to stop when it is over.
//! Needs:   server.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt-multi-thread", "signal", "sync", "time"] }
//! ```

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;
use std::{env, process};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::server::{Limits, Protocol, Server};

const HELP: &str = "\
serve                       a server on any port, and one session with it
serve --connect IP:PORT     a session with a server that runs
serve --addr IP:PORT ...    a server, until SIGINT or SIGTERM
  --addr IP:PORT            where it listens; port 0 is any that is free [127.0.0.1:8081]
  --connections NUMBER      clients served at once; further ones are told so and closed [256]
  --line BYTES              the longest line; a longer one ends its connection [65536]
  --idle SECONDS            how long a client may take to send a line, or to read its answer [60]
  --drain SECONDS           how long all may take to end their lines when the server stops [5]";

struct Options {
    addr: Option<SocketAddr>,
    connect: Option<SocketAddr>,
    limits: Limits,
}

#[tokio::main]
pub async fn main() -> Result<()> {
    // The arguments follow the program's name, and in a module of a larger program the module's name.
    let args: Vec<String> = env::args_os()
        .skip(module_path!().split("::").count())
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return Ok(());
    }
    let options = options(&args).unwrap_or_else(|usage| {
        eprintln!("serve: {usage}");
        process::exit(2)
    });
    match (options.connect, args.is_empty()) {
        (Some(addr), _) => session(addr).await,
        (None, true) => demonstration().await,
        (None, false) => serve(options).await,
    }
}

/// What is wrong with the arguments, if anything is.
fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        addr: None,
        connect: None,
        limits: Limits::default(),
    };
    let limits = &mut options.limits;
    for pair in args.chunks(2) {
        let (name, value) = (&*pair[0], pair.get(1).map_or("", String::as_str));
        let (takes, taken) = match name {
            "--addr" => (
                ADDRESS,
                value.parse().ok().map(|addr| options.addr = Some(addr)),
            ),
            "--connect" => (
                ADDRESS,
                value.parse().ok().map(|addr| options.connect = Some(addr)),
            ),
            "--connections" => (
                NUMBER,
                number(value).map(|number| limits.connections = number),
            ),
            "--line" => (NUMBER, number(value).map(|bytes| limits.line = bytes)),
            "--idle" => (SECONDS, seconds(value).map(|time| limits.idle = time)),
            "--drain" => (SECONDS, seconds(value).map(|time| limits.drain = time)),
            _ => return Err(format!("there is no option {name:?}; --help names all")),
        };
        taken.ok_or_else(|| format!("{name} takes {takes}, not {value:?}"))?;
    }
    match (options.connect, args.len()) {
        (Some(_), 3..) => Err("--connect stands alone".to_owned()),
        _ => Ok(options),
    }
}

const ADDRESS: &str = "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081";
const NUMBER: &str = "a whole number from 1 to 1000000000";
const SECONDS: &str = "seconds, more than 0 and at most 1000000";

fn number(text: &str) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000_000_000).contains(number))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0.0 && *seconds <= 1e6)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// With a server of its own, which is told to stop when the session is over.
async fn demonstration() -> Result<()> {
    let server = listen(SocketAddr::from(([127, 0, 0, 1], 0)), Limits::default()).await?;
    let addr = server.local_addr().context("the server's address")?;
    let mut ended = Ok(());
    let summary = server
        .run(Echo, async { ended = session(addr).await })
        .await;
    println!("{summary}");
    ended
}

async fn serve(options: Options) -> Result<()> {
    // From here on a signal is no longer the end of the process.
    let mut int = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
    let mut term = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    let default = SocketAddr::from(([127, 0, 0, 1], 8081));
    let server = listen(options.addr.unwrap_or(default), options.limits).await?;
    let stop = async {
        let name = tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
        };
        println!(
            "{name}: draining for at most {} s",
            options.limits.drain.as_secs_f64()
        );
    };
    println!("{}", server.run(Echo, stop).await);
    Ok(())
}

async fn listen(addr: SocketAddr, limits: Limits) -> Result<Server> {
    let server = Server::bind(addr, limits).await;
    let server = server.map_err(|error| anyhow!("cannot listen on {addr}: {error}"))?;
    println!(
        "Serving on {}",
        tuple(server.local_addr().context("the server's address")?)
    );
    Ok(server)
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
