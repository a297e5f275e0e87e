//! A manager's server is killed: whoever waits for it, calls it or connects is told at once.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::each;
use crate::managers::client::Error;
use crate::managers::{Address, Manager, Registry, Server};

const KEY: &[u8] = b"key";

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let this = env::current_exe().context("find this program")?;
        let mut server = Command::new(this)
            .arg("--manager-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a server")?;
        let mut line = String::new();
        let stdout = server.stdout.as_mut().context("its standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
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
        server.kill().context("kill the server")?;
        server.wait().context("wait for the server")?;
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
        Ok("all were told".to_owned())
    })?;
    Ok("a clear error at once, for all".to_owned())
}

/// A server that ends with its parent.
pub fn serve() -> Result<()> {
    let any = Address::Tcp("127.0.0.1".to_owned(), 0);
    let server = Server::bind(&any, KEY, Registry::sync_manager())?.start()?;
    println!("{}", server.address());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
