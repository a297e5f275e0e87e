//! Run a manager for Python's and Rust's clients until Ctrl-C.
//!
//! Python:  `SyncManager(address, authkey).get_server().serve_forever()`, for clients such as
//!          `SyncManager(address=('127.0.0.1', 9697), authkey=open(F, 'rb').read().strip()).connect()`
//! Usage:   serve --authkey-file F [--address ADDRESS] [limits, see --help]; serve --authkey-file F --connect ADDRESS
//! Serves:  until Ctrl-C, SIGTERM, or a client's `shutdown`
//! Differs: CPython has no limits on connections and messages. The key comes from a file, because every user can read a
//!          command line. A client with the key may call every method, and TCP traffic is not encrypted.
//! Order:   the lines of a session come in order. The server is stopped after the session.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! clap = { version = "4", features = ["derive"] }
//! multiprocessing-managers = "0.1"
//! nix = { version = "0.31", features = ["signal"] }
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, process, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use multiprocessing_managers::{Address, Limits, Manager, Registry, Server, Value};
use nix::sys::signal::{SigSet, Signal};

/// Serves shared objects until SIGINT or SIGTERM; with --connect, runs a session with a server
#[derive(Parser)]
#[command(name = "serve", after_help = AFTER_HELP)]
struct Options {
    /// The file with the key, which other users should not be able to read; a final newline is ignored
    #[arg(long, value_name = "FILE")]
    authkey_file: PathBuf,
    /// Where to listen; port 0 stands for any free port
    #[arg(long, default_value = "127.0.0.1:9697")]
    address: Address,
    /// Be a client of the server at this address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["address", "connections", "strangers", "handshake", "message"])]
    connect: Option<Address>,
    /// The limit on connections; a client has one for each thread, and briefly more
    #[arg(long, value_name = "NUMBER", default_value_t = 4096, value_parser = number)]
    connections: usize,
    /// The limit on connections that have not proved yet that they have the key
    #[arg(long, value_name = "NUMBER", default_value_t = 1024, value_parser = number)]
    strangers: usize,
    /// The time limit for proving it
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    handshake: Duration,
    /// The size of the largest message
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, value_parser = number)]
    message: usize,
}

const AFTER_HELP: &str = "\
An ADDRESS is HOST:PORT, [IPV6]:PORT, /PATH, unix:PATH or unix:@NAME. Python's clients do not support IPv6.
The server reports on stderr which connections it refuses, and why.";

pub fn main() -> Result<()> {
    let options = options();
    let key = authkey(&options.authkey_file)?;
    match &options.connect {
        Some(address) => session(address, &key),
        None => serve(&options, &key),
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

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=1_000_000_000).contains(number));
    number.ok_or_else(|| "expected a whole number from 1 to 1000000000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= 1e6);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected seconds, more than 0 and at most 1000000".to_owned())
}

/// Reads the key from the file, without a final newline.
fn authkey(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let cannot = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "the key file {name} does not exist; create it: (umask 077; head -c 32 /dev/urandom | base64 > {name})"
        ),
        _ => anyhow!("cannot read the key file {name}: {error}"),
    };
    let mut opened = File::open(file).map_err(cannot)?;
    let mut key = vec![];
    opened.read_to_end(&mut key).map_err(cannot)?;
    key.pop_if(|last| *last == b'\n');
    ensure!(!key.is_empty(), "the key file {name} is empty");
    if opened.metadata().map_err(cannot)?.mode() & 0o044 != 0 {
        eprintln!("serve: others may read the key file {name}");
    }
    Ok(key)
}

fn serve(options: &Options, key: &[u8]) -> Result<()> {
    // The signals are blocked in this thread and those that it starts, one of which waits for them.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("block the signals")?;
    let address = &options.address;
    let limits = Limits {
        connections: options.connections,
        strangers: options.strangers,
        handshake: options.handshake,
        message: options.message,
        ..Limits::default()
    };
    let server = match Server::with_limits(address, key, Registry::sync_manager(), limits) {
        Ok(server) => server,
        Err(error) => match (address, error.kind()) {
            (Address::Unix(path), ErrorKind::AddrInUse) if path.exists() => {
                bail!("cannot listen on {address}: {error}; if no server uses the file, remove it")
            }
            _ => bail!("cannot listen on {address}: {error}"),
        },
    };
    server.report(|line| {
        writeln!(io::stderr(), "serve: {line}").ok();
    });
    say(&format!("Serving on {}", server.address()));
    let stop = server.stop();
    let wait = move || {
        if let Ok(signal) = signals.wait() {
            say(&format!("{signal}: stopping"));
            stop.stop();
        }
    };
    let waiter = thread::Builder::new().name("signals".into()).spawn(wait);
    waiter.context("start a thread that waits for signals")?;
    say(&server.serve().to_string());
    Ok(())
}

/// Prints a line. The server goes on even if standard output is closed.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

/// Runs a client's session.
fn session(address: &Address, key: &[u8]) -> Result<()> {
    let manager = Manager::connect(address, key)?;
    println!("Client is connected to {address}");
    let dict = manager.dict([("你好", 1)])?;
    dict.set(2, Value::None)?;
    println!("dict: {}", dict.repr()?);
    let queue = manager.queue(1)?;
    queue.put(["hello"])?;
    println!(
        "Queue: {}, full: {}",
        queue.get()?,
        Value::from(queue.is_full()?)
    );
    let lock = manager.lock()?;
    let guard = lock.lock()?;
    println!("Lock: {}", Value::from(lock.acquire(false, None)?));
    guard.release()?;
    println!("Client holds {} objects", manager.number_of_objects()?);
    drop((dict, queue, lock));
    println!("Client leaves {} objects", manager.number_of_objects()?);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn each_option_has_its_place() {
        let options = "serve --authkey-file F --address unix:@x --connections 1 --strangers 2 --handshake 0.5 --message 3";
        let options = parse(options).unwrap();
        assert_eq!(options.authkey_file, PathBuf::from("F"));
        assert_eq!(Ok(options.address), "unix:@x".parse());
        assert_eq!(options.connect, None);
        assert_eq!(
            [options.connections, options.strangers, options.message],
            [1, 2, 3]
        );
        assert_eq!(options.handshake, Duration::from_millis(500));
        let options = parse("serve --connect [::1]:5 --authkey-file F").unwrap();
        assert_eq!(options.connect, Some(Address::Tcp("::1".to_owned(), 5)));
        let limits = Limits::default();
        assert_eq!(
            [options.connections, options.strangers, options.message],
            [limits.connections, limits.strangers, limits.message]
        );
        assert_eq!(options.handshake, limits.handshake);
    }

    #[test]
    fn wrong_options_are_refused_with_what_would_be_right() {
        for (line, text) in [
            (
                "--authkey-file F --handshake inf",
                "more than 0 and at most 1000000",
            ),
            ("--authkey-file F --message 0", "from 1 to 1000000000"),
            ("--authkey-file F --address x", "expected HOST:PORT"),
            ("--authkey-file F --adress x", "'--address'"),
            ("--message 5", "--authkey-file <FILE>"),
            (
                "--connect a:1 --authkey-file F --message 5",
                "cannot be used with",
            ),
        ] {
            let error = parse(&format!("serve {line}")).err().unwrap();
            assert!(error.contains(text), "{line}: {error}");
        }
    }
}
