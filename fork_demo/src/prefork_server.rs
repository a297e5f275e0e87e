//! Serve one port from three forked processes.
//!
//! Python:  `Process(target=serve, args=(listener,))`, as `gunicorn --workers 3` does
//! Differs: the servers end with the main process, even if that is killed.
//! Order:   the kernel chooses which server accepts a client.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process;

use anyhow::{Context, Result};
use multiproc::fork;

const SERVERS: usize = 3;

pub fn main() -> Result<()> {
    let main = process::id();
    // The children inherit the socket, so all of them accept from its queue.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let address = listener.local_addr().context("read the address")?;
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        let server = fork(|| serve(&listener))?;
        println!("main process {main} started {}", server.pid());
        servers.push(server);
    }
    for text in ["spam", "ham", "eggs", "spam and eggs"] {
        println!("main process {main} got {}", ask(address, text)?);
    }
    for server in servers {
        server.kill()?;
        println!("main process joined {}, {}", server.pid(), server.join()?);
    }
    Ok(())
}

/// Answers each client's line in capitals. A client's mistake ends its connection, not the server.
fn serve(listener: &TcpListener) -> Result<()> {
    loop {
        let (client, address) = listener.accept().context("accept a client")?;
        if let Err(error) = answer(&client) {
            eprintln!("client {address}: {error:#}");
        }
    }
}

fn answer(mut client: &TcpStream) -> Result<()> {
    let mut line = String::new();
    let read = BufReader::new(client).read_line(&mut line);
    read.context("read a line")?;
    let answer = format!("{} from {}", line.trim_end().to_uppercase(), process::id());
    client.write_all(answer.as_bytes()).context("answer")
}

fn ask(address: SocketAddr, text: &str) -> Result<String> {
    let mut server = TcpStream::connect(address).context("connect")?;
    writeln!(server, "{text}").context("send a line")?;
    server
        .shutdown(Shutdown::Write)
        .context("end the request")?;
    let mut answer = String::new();
    server
        .read_to_string(&mut answer)
        .context("read the answer")?;
    Ok(answer)
}
