//! Run code that may crash in a child, and replace the child when it does.
//!
//! Python:  `conn.send(request)`; `EOFError` from `conn.recv()` when the child has crashed
//! Differs: requests and replies have types, so a request that the child does not know does not compile.
//! Order:   each reply is awaited before the next request.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! serde = { version = "1", features = ["derive"] }
//! ```

use std::process;

use anyhow::{Context, Result, bail};
use multiproc::{Connection, ConnectionError, Process, init, spawn, target};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Add(u32, u32),
    Divide(u32, u32),
}

/// The result, or why there is none.
type Reply = Result<u32, String>;

pub fn main() -> Result<()> {
    init([target(serve)]);
    println!("main process pid is {}", process::id());
    let (mut pipe, mut child) = start()?;
    for request in [
        Request::Add(1, 2),
        Request::Divide(1, 0),
        Request::Add(u32::MAX, 1),
        Request::Divide(7, 2),
    ] {
        match pipe.send(&request).and_then(|()| pipe.recv()) {
            Ok(Ok(result)) => println!("{request:?}: {result}"),
            Ok(Err(reason)) => println!("{request:?}: {reason}"),
            Err(ConnectionError::Closed) => {
                let pid = child.pid();
                println!("{request:?}: process {pid} crashed, {}", child.join()?);
                (pipe, child) = start()?;
            }
            Err(error) => return Err(error).context("ask the child"),
        }
    }
    Ok(())
}

fn start() -> Result<(Connection<Request, Reply>, Process)> {
    let (pipe, childs_end) = Connection::pair()?;
    Ok((pipe, spawn(serve, childs_end)?))
}

fn serve(pipe: Connection<Reply, Request>) -> Result<()> {
    println!("process {} serves", process::id());
    loop {
        let reply = match pipe.recv() {
            Ok(Request::Add(a, b)) => a.checked_add(b).ok_or_else(|| "too large".to_owned()),
            // It stands for a bug in a C library, which no error or panic reports.
            Ok(Request::Divide(_, 0)) => process::abort(),
            Ok(Request::Divide(a, b)) => Ok(a / b),
            Err(ConnectionError::Closed) => return Ok(()),
            Err(error) => bail!("receive a request: {error}"),
        };
        pipe.send(&reply).context("send a reply")?;
    }
}
