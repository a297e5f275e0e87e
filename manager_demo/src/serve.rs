//! A manager that stays up, for Python's clients and ours: it holds the objects, until Ctrl-C.
//!
//! Python:  `SyncManager(address, authkey).get_server().serve_forever()`
//! Client:  `SyncManager(address=('127.0.0.1', 9697), authkey=open(F, 'rb').read().strip()).connect()`
//! Usage:   serve --authkey-file F [--address ADDRESS] [limits, see --help]; serve --authkey-file F --connect ADDRESS
//! Serves:  until Ctrl-C, SIGTERM, or a client's `shutdown`
//! Differs: CPython limits neither connections nor messages, and cuts everybody off. The key is read from a file, since
//!          everybody can see a command line. Who knows it may call everything; over TCP all can be read on the way.
//! Order:   a session's lines come one after the other; the server is told to stop when it is over.
//! Needs:   options.rs, managers
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! getrandom = { version = "0.4", default-features = false, features = ["std"] }
//! hmac = { version = "0.13", default-features = false }
//! md-5 = { version = "0.11", default-features = false }
//! nix = { version = "0.31", default-features = false, features = ["signal", "socket"] }
//! num-bigint = { version = "0.5", default-features = false, features = ["std"] }
//! num-traits = { version = "0.2", default-features = false, features = ["std"] }
//! rustix = { version = "1", default-features = false, features = ["std", "event", "net", "process"] }
//! serde = "1"
//! sha2 = { version = "0.11", default-features = false }
//! unicode-properties = { version = "0.1", default-features = false, features = ["general-category"] }
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{env, process, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{SigSet, Signal};

use crate::managers::{Address, Manager, Registry, Server, Value};
use crate::options::{HELP, Options, parse};

pub fn main() -> Result<()> {
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
    let key = authkey(&options.authkey_file)?;
    match &options.connect {
        Some(address) => session(address, &key),
        None => serve(&options, &key),
    }
}

/// What is in the file, without one newline at its end.
fn authkey(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let cannot = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "there is no key file {name}; this makes one: (umask 077; head -c 32 /dev/urandom | base64 > {name})"
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
    // Blocked here and in all threads that this one starts; one of them waits for them.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("block the signals")?;
    let (address, limits) = (&options.address, options.limits.clone());
    let server = match Server::with_limits(address, key, Registry::sync_manager(), limits) {
        Ok(server) => server,
        Err(error) => match (address, error.kind()) {
            (Address::Unix(path), ErrorKind::AddrInUse) if path.exists() => {
                bail!("cannot listen on {address}: {error}; if no server does, remove the file")
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

/// If nobody reads it, the clients are served all the same.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

/// What a client does.
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
