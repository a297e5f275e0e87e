//! A manager's server is killed. Clients that wait for it, call it or connect to it get an error at once.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use multiproc::reduction::Fd;
use multiproc::spawn;
use multiprocessing_managers::{Address, Error, Manager, Registry, Server};

use crate::each;

const KEY: &[u8] = b"key";

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let (said, say) = io::pipe().context("make a pipe")?;
        let server = spawn(serve, Fd::from(say))?;
        let mut line = String::new();
        let read = BufReader::new(said).read_line(&mut line);
        read.context("hear where the server listens")?;
        let address: Address = line.trim().parse()?;
        let manager = Manager::connect(&address, KEY)?;
        let (queue, list) = (manager.queue(0)?, manager.list([1i64])?);
        list.len()?;
        let (sender, waits) = mpsc::channel();
        let waiter = thread::spawn(move || {
            queue.len()?;
            sender.send(()).ok();
            queue.get()
        });
        waits.recv().context("hear the waiter")?;
        server.kill()?;
        server.join()?;
        let begun = Instant::now();
        let Ok(waited) = waiter.join() else {
            bail!("the waiter panicked");
        };
        for result in [waited.map(drop), list.append(2i64)] {
            let told = matches!(result, Err(Error::Disconnected { .. }));
            ensure!(told, "got {result:?}");
        }
        let result = Manager::connect(&address, KEY).map(drop);
        ensure!(matches!(result, Err(Error::Io { .. })), "got {result:?}");
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(3), "it took {took:?}");
        Ok("all got an error".to_owned())
    })?;
    Ok("a clear error at once".to_owned())
}

/// Reports its address and serves until it is killed.
pub fn serve(say: Fd) -> Result<()> {
    let any = Address::Tcp("127.0.0.1".to_owned(), 0);
    let server = Server::bind(&any, KEY, Registry::sync_manager())?;
    writeln!(File::from(say.into_inner()), "{}", server.address()).context("tell the parent")?;
    server.serve();
    Ok(())
}
