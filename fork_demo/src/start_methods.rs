//! Three ways to start a child, and what each inherits: fork all, spawn nothing, a fork server what is handed to it.
//!
//! Python:  `get_context('fork')`, `'spawn'`, `'forkserver'`
//! Differs: Rust opens every file close-on-exec, so that fork alone passes it on, as Python does since 3.4.
//! Linux:   `/proc` tells whether a descriptor is open, and who the fork server's parent is.
//! Needs:   multiprocessing.rs, forkserver.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["event", "net", "process", "stdio", "thread"] }
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{path::Path, process};

use anyhow::{Context, Result};
use rustix::io::fcntl_dupfd_cloexec;

use crate::forkserver::{ForkServer, serve};
use crate::multiprocessing::{fork, role, spawn};

static CHANGED: AtomicBool = AtomicBool::new(false);

/// A number that no other file gets by chance.
const FILE: i32 = 200;

pub fn main() -> Result<()> {
    match role().as_deref() {
        None => parent(),
        Some(ForkServer::ROLE) => serve(child),
        Some(role) => process::exit(child(role, Vec::new())?.into()),
    }
}

fn parent() -> Result<()> {
    println!("main process pid is {}", process::id());
    CHANGED.store(true, Ordering::Relaxed);
    let _file = fcntl_dupfd_cloexec(File::open("/dev/null")?, FILE).context("open a file")?;

    let forked = fork(|| child("fork", Vec::new()))?;
    println!("main process started {}", forked.pid());
    println!("main process joined fork, {}", forked.join()?);

    let spawned = spawn("spawn")?;
    println!("main process started {}", spawned.pid());
    println!("main process joined spawn, {}", spawned.join()?);

    let server = ForkServer::start()?;
    println!("fork server pid is {}", server.pid());
    let (letter, mut writer) = io::pipe().context("make a pipe")?;
    writer.write_all(b"Hello").context("write the letter")?;
    drop(writer);
    let served = server.fork("forkserver", &[letter.as_fd()])?;
    println!("main process started {}", served.pid());
    println!("main process joined forkserver, {}", served.join()?);
    Ok(())
}

fn child(method: &str, letters: Vec<OwnedFd>) -> Result<u8> {
    let variable = if CHANGED.load(Ordering::Relaxed) {
        "changed"
    } else {
        "unchanged"
    };
    let file = if Path::new("/proc/self/fd").join(FILE.to_string()).exists() {
        "open"
    } else {
        "closed"
    };
    let parent = parent_id();
    println!(
        "{method}: child process pid is {} ppid is {parent}",
        process::id()
    );
    println!("{method}: the parent's ppid is {}", parent_of(parent)?);
    println!("{method}: the variable is {variable}, the file is {file}");
    for letter in letters {
        let mut text = String::new();
        File::from(letter)
            .read_to_string(&mut text)
            .context("read the letter")?;
        println!("{method}: received {text}");
    }
    Ok(7)
}

fn parent_of(pid: u32) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("look at a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.context("no parent in /proc")?.trim().to_owned())
}
