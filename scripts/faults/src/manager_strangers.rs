//! A manager's server gets wrong keys, garbage and 10,000 silent connections. Its clients are served all the same.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use multiprocessing_managers::framing::Frames;
use multiprocessing_managers::transport::Stream;
use multiprocessing_managers::{Address, Error, Limits, Manager, Registry, Running, Server, auth};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::each;

const KEY: &[u8] = b"key";
const SECOND: Duration = Duration::from_secs(1);
/// How long a client may take on a busy machine.
const SOON: Duration = Duration::from_secs(3);
/// How much memory the garbage may cost, in KiB.
const MEMORY: u64 = 100 << 10;

fn serve() -> Result<Running> {
    let any = Address::Tcp("127.0.0.1".to_owned(), 0);
    Ok(Server::bind(&any, KEY, Registry::sync_manager())?.start()?)
}

/// Connects as a client and makes calls; returns the time that it took.
fn works(address: &Address) -> Result<Duration> {
    let begun = Instant::now();
    let manager = Manager::connect(address, KEY)?;
    ensure!(manager.list([1i64])?.len()? == 1);
    let took = begun.elapsed();
    ensure!(took < SOON, "a client was served in {took:?}");
    Ok(took)
}

pub fn wrong_key(rounds: u32) -> Result<String> {
    let server = serve()?;
    each(rounds, |_| {
        let result = Manager::connect(server.address(), b"other").map(drop);
        let Err(Error::Auth(text)) = &result else {
            bail!("got {result:?}");
        };
        works(server.address())?;
        Ok(text.clone())
    })?;
    Ok("refused; other clients are served".to_owned())
}

pub fn garbage(rounds: u32) -> Result<String> {
    let server = serve()?;
    let Address::Tcp(_, port) = *server.address() else {
        bail!("not TCP");
    };
    works(server.address())?;
    let before = status("VmHWM:")?;
    each(rounds, |_| {
        for bytes in [
            &b"GET / HTTP/1.0\r\n\r\n"[..],
            &[0xff; 100],
            &[0x7f, 0xff, 0xff, 0xff],
        ] {
            let mut stranger = TcpStream::connect(("127.0.0.1", port))?;
            stranger.set_read_timeout(Some(5 * SECOND))?;
            stranger.write_all(bytes)?;
            // A reset ends the connection, too.
            match stranger.read_to_end(&mut vec![]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    bail!("the server waits for more")
                }
                _ => {}
            }
        }
        let nested = [&[b']'; 100_000][..], &[b'a'; 99_999], b"."].concat();
        // A memo index that would take some GiB.
        let memo = b"Nr\xff\xff\xff\x07.".to_vec();
        for pickle in [
            b"garbage".to_vec(),
            nested,
            memo,
            b"B\xff\xff\xff\x7f.".to_vec(),
        ] {
            let mut client = Frames::new(Stream::connect(server.address(), Some(SECOND))?);
            auth::connect(&mut client, KEY, SECOND)?;
            client.send(|out| out.extend(&pickle))?;
            client.recv(1 << 20)?;
        }
        works(server.address())?;
        Ok("refused".to_owned())
    })?;
    let grown = status("VmHWM:")? - before;
    ensure!(grown < MEMORY, "it took {} MiB", grown >> 10);
    Ok("refused with little memory; other clients are served".to_owned())
}

pub fn ten_thousand(rounds: u32) -> Result<String> {
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).context("raise the limit of descriptors")?;
    let count = most.map_or(10_000, |most| most.saturating_sub(1000).min(10_000));
    let server = serve()?;
    let (mut threads, mut slowest) = (0, Duration::ZERO);
    each(rounds, |_| {
        let mut all = vec![];
        for number in 0..count {
            all.push(Stream::connect(server.address(), Some(SECOND))?);
            if number % 1000 == 999 {
                slowest = slowest.max(works(server.address())?);
                threads = threads.max(status("Threads:")?);
            }
        }
        // One thread for each stranger that the server admits, and few others.
        let most = Limits::default().strangers as u64 + 100;
        ensure!(threads < most, "{threads} threads");
        Ok(format!("{count} connections"))
    })?;
    Ok(format!(
        "{count} silent connections, at most {threads} threads; a client is served in {} ms",
        slowest.as_millis()
    ))
}

fn status(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("look at this process")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .with_context(|| format!("no {name}"))?
        .parse()
        .context("a number")
}
