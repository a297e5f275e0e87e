//! Serve lines over TCP with limits on clients, lines and time; drain at the end.
//!
//! Python:  `asyncio.start_server(..., limit=...)`, with `timeout`, a count of clients, `close` and `wait` around it
//! Differs: asyncio accepts without a limit, waits forever for a silent client, and buffers answers that a client does not read,
//!          unless each handler awaits `drain`. This server reads from a client only after its last answer is written.
//!
//! The server serves `Limits::connections` clients at the same time. It accepts the same number again, tells each in a line
//! that the server is full, and closes it; further clients wait in the kernel's queue. A place is free when both sides have
//! closed, or a second after the server has. A connection uses at most 2 × `line` of memory, and twice its answer.
//!
//! An error ends only its own connection: a reset by the client, or a panic in its `Protocol`. When no file
//! descriptor is left, the server reports it on stderr, at most once a minute, and tries again ten times a second.
//! Cancelling `run` closes all connections at once. A `Protocol` must not block.
//!
//! Lines that arrive together cost one read and one write, and a timer.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "sync", "time"] }
//! ```

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;
use std::{fmt, io, io::Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The most bytes of one read.
const CHUNK: usize = 8 << 10;
/// The time that a client has to read its last line and close.
const PARTING: Duration = Duration::from_secs(1);
/// The pause before it accepts again, when no descriptor is left.
const RETRY: Duration = Duration::from_millis(100);
/// The time until it prints this again.
const REMIND: Duration = Duration::from_secs(60);

/// The limits of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The number of clients that are served at the same time.
    pub connections: usize,
    /// The length of a line in bytes, including its end.
    pub line: usize,
    /// The time that a client has to send a line, and to read the answer.
    pub idle: Duration,
    /// The time that all clients have to end their lines when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            line: 64 << 10,
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// The number of clients, by how their connections ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Clients that were served.
    pub served: u64,
    /// Clients that were refused, because too many were connected.
    pub refused: u64,
    /// Served clients that reset the connection or did not read before their last line, or whose `Protocol` panicked.
    pub broken: u64,
    /// Served clients that were connected when the time to drain was over.
    pub cut_off: usize,
}

/// The answers to the clients. The methods run between two awaits, so they must not block.
pub trait Protocol: Clone + Send + 'static {
    /// Adds the answer to a line to `answer`. Only the last line of a client may lack its end. `Break` ends the connection.
    fn line(&self, line: &[u8], peer: SocketAddr, answer: &mut Vec<u8>) -> ControlFlow<()>;

    /// Adds the farewell to `answer`: after a `Break`, at the end of the client's input, or when the server stops.
    fn goodbye(&self, peer: SocketAddr, answer: &mut Vec<u8>);
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// The system's error, if the port is in use or the address is not one of this machine.
    pub async fn bind(addr: SocketAddr, limits: Limits) -> io::Result<Server> {
        let listener = TcpListener::bind(addr).await?;
        Ok(Server { listener, limits })
    }

    /// Returns the address on which it listens.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready. Then it accepts no more clients, waits until the begun lines have ended, and closes.
    pub async fn run(self, protocol: impl Protocol, stop: impl Future) -> Summary {
        let Server { listener, limits } = self;
        let (stopping, stopped) = watch::channel(false);
        let (mut served, mut refused) = (JoinSet::new(), JoinSet::new());
        let mut summary = Summary::default();
        let mut told: Option<Instant> = None;
        let mut stop = pin!(stop);
        loop {
            // Accept if one more can be served, or refused.
            let room = served.len().min(refused.len()) < limits.connections;
            let accepted = tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(ended) = served.join_next() => {
                    summary.count(ended);
                    continue;
                }
                Some(_) = refused.join_next() => continue,
                accepted = listener.accept(), if room => accepted,
            };
            match accepted {
                Ok((stream, _)) if served.len() == limits.connections => {
                    summary.refused += 1;
                    refused.spawn(refuse(stream, limits.connections));
                }
                Ok((stream, peer)) => {
                    summary.served += 1;
                    let (protocol, stopped) = (protocol.clone(), stopped.clone());
                    served.spawn(converse(stream, peer, limits, protocol, stopped));
                }
                Err(error) => {
                    if told.is_none_or(|at| at.elapsed() >= REMIND) {
                        writeln!(io::stderr(), "accept: {error}").ok(); // Without a reader of stderr the server goes on.
                        told = Some(Instant::now());
                    }
                    sleep(RETRY).await;
                }
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let all = async {
            while let Some(ended) = served.join_next().await {
                summary.count(ended);
            }
            while refused.join_next().await.is_some() {}
        };
        if timeout(limits.drain, all).await.is_err() {
            summary.cut_off = served.len();
        }
        summary
    }
}

impl Summary {
    fn count(&mut self, ended: Result<io::Result<()>, JoinError>) {
        if !matches!(ended, Ok(Ok(()))) {
            self.broken += 1;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Summary {
            served,
            refused,
            broken,
            cut_off,
        } = self;
        write!(
            f,
            "clients served: {served}, refused: {refused}, broken: {broken}, cut off: {cut_off}"
        )
    }
}

async fn refuse(stream: TcpStream, connections: usize) {
    let full = format!("error: {connections} clients are connected, try again later\n");
    part(stream, full.as_bytes()).await;
}

/// Serves one connection, from its first line to its last.
async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    limits: Limits,
    protocol: impl Protocol,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut answer) = (vec![], vec![]);
    let mut deadline = Instant::now() + limits.idle;
    let mut last_line = false;
    loop {
        // One byte more than allowed shows that the line is too long.
        let begun = input.len();
        let room = limits.line + 1 - begun;
        input.reserve(room.min(CHUNK));
        let mut limited = (&mut stream).take(room as u64);
        // The future that loses has read nothing.
        let read = tokio::select! {
            biased;
            read = timeout_at(deadline, limited.read_buf(&mut input)) => read,
            _ = stopped.wait_for(|stopped| *stopped), if begun == 0 => break,
        };
        let Ok(read) = read else {
            let idle = format!("error: no line within {} s\n", limits.idle.as_secs_f64());
            part(stream, idle.as_bytes()).await;
            return Ok(());
        };
        let at_end = read? == 0;
        let mut flow = ControlFlow::Continue(());
        if at_end && begun > 0 {
            flow = protocol.line(&input, peer, &mut answer);
        }
        let (mut done, mut search) = (0, begun);
        while let Some(length) = input[search..].iter().position(|byte| *byte == b'\n') {
            search += length + 1;
            if search - done > limits.line || flow.is_break() {
                break;
            }
            flow = protocol.line(&input[done..search], peer, &mut answer);
            done = search;
        }
        if at_end || flow.is_break() {
            timeout(limits.idle, stream.write_all(&answer)).await??;
            answer.clear();
            break;
        }
        input.drain(..done);
        if input.len() > limits.line {
            timeout(limits.idle, stream.write_all(&answer)).await??;
            let long = format!("error: a line has at most {} bytes\n", limits.line);
            part(stream, long.as_bytes()).await;
            return Ok(());
        }
        if done > 0 {
            timeout(limits.idle, stream.write_all(&answer)).await??;
            answer.clear();
            deadline = Instant::now() + limits.idle;
            if *stopped.borrow() && (last_line || input.is_empty()) {
                break;
            }
            last_line = *stopped.borrow();
        }
    }
    protocol.goodbye(peer, &mut answer);
    part(stream, &answer).await;
    Ok(())
}

/// Writes the last line and waits until the client has closed, too. Closing a connection with unread input resets it, and
/// the client would lose the line.
async fn part(mut stream: TcpStream, last: &[u8]) {
    let parting = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        copy(&mut stream, &mut sink()).await
    };
    drop::<Result<io::Result<u64>, _>>(timeout(PARTING, parting).await);
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;

    #[derive(Clone)]
    struct Shout;

    impl Protocol for Shout {
        fn line(&self, line: &[u8], _: SocketAddr, answer: &mut Vec<u8>) -> ControlFlow<()> {
            assert_ne!(line, b"panic\n", "on purpose");
            answer.extend(line.to_ascii_uppercase());
            match line {
                b"end\n" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }

        fn goodbye(&self, _: SocketAddr, answer: &mut Vec<u8>) {
            answer.extend(b"bye\n");
        }
    }

    async fn start(connections: usize) -> (SocketAddr, JoinHandle<Summary>) {
        let limits = Limits {
            connections,
            ..Limits::default()
        };
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), limits)
            .await
            .unwrap();
        let addr = server.local_addr().unwrap();
        (addr, tokio::spawn(server.run(Shout, pending::<()>())))
    }

    /// Sends the lines and returns the answers.
    async fn talk(addr: SocketAddr, lines: &str) -> io::Result<String> {
        let mut client = TcpStream::connect(addr).await?;
        client.write_all(lines.as_bytes()).await?;
        client.shutdown().await?;
        let mut all = String::new();
        client.read_to_string(&mut all).await?;
        Ok(all)
    }

    #[tokio::test]
    async fn an_answer_for_each_line_up_to_the_last() {
        let (addr, _server) = start(9).await;
        assert_eq!(talk(addr, "").await.unwrap(), "bye\n");
        assert_eq!(talk(addr, "a\n\nb").await.unwrap(), "A\n\nBbye\n");
        assert_eq!(talk(addr, "a\nend\nb\n").await.unwrap(), "A\nEND\nbye\n");
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_connection() {
        let (addr, server) = start(1).await;
        assert_eq!(talk(addr, "panic\n").await.unwrap_or_default(), "");
        assert_eq!(talk(addr, "a\n").await.unwrap(), "A\nbye\n");
        assert!(!server.is_finished());
    }

    #[tokio::test]
    async fn refused_clients_get_a_line() {
        let (addr, _server) = start(1).await;
        let mut first = TcpStream::connect(addr).await.unwrap();
        first.write_all(b"a\n").await.unwrap();
        let mut echo = [0; 2];
        first.read_exact(&mut echo).await.unwrap();
        // More clients than the server refuses at the same time, and none of them closes.
        let mut refused = vec![];
        for _ in 0..3 {
            refused.push(TcpStream::connect(addr).await.unwrap());
        }
        for client in &mut refused {
            let mut all = String::new();
            client.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, "error: 1 clients are connected, try again later\n");
        }
    }

    #[tokio::test]
    async fn dropping_the_server_closes_all_connections() {
        let (addr, server) = start(9).await;
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"a\nhalf").await.unwrap();
        let mut echo = [0; 2];
        client.read_exact(&mut echo).await.unwrap();
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        assert!(TcpStream::connect(addr).await.is_err());
    }
}
