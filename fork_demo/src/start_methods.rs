//! Start a child in three ways and see what each inherits.
//!
//! Python:  `get_context('fork')`, `'spawn'`, `'forkserver'`
//! Differs: Rust opens every file close-on-exec, so only fork passes it on, as Python does since 3.4. The notes say
//!          that `multiprocessing` imports instead of forking; on Linux it forks up to 3.13, and 3.14 uses a fork
//!          server.
//! Order:   one after the other: each child is joined before the next is started.
//! Platform: Linux (`/proc` shows the open files and the fork server's parent)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{path::Path, process};

use anyhow::{Context, Result};
use multiproc::{Process, fork, forkserver::ForkServer, init, reduction::Fd, spawn, target};

static CHANGED: AtomicBool = AtomicBool::new(false);

/// A file that nothing else in these processes opens.
const FILE: &str = "/dev/zero";

/// The start method, and a pipe with a letter.
type Arguments = (String, Option<Fd>);

pub fn main() -> Result<()> {
    init([target(child)]);
    println!("main process pid is {}", process::id());
    CHANGED.store(true, Ordering::Relaxed);
    let _open = File::open(FILE).context("open a file")?;

    join("fork", fork(|| child(("fork".to_owned(), None)))?)?;
    join("spawn", spawn(child, ("spawn".to_owned(), None))?)?;

    let server = ForkServer::start()?;
    println!("fork server pid is {}", server.pid());
    let (letter, mut writer) = io::pipe().context("make a pipe")?;
    writer.write_all(b"Hello").context("write the letter")?;
    drop(writer);
    let arguments = ("forkserver".to_owned(), Some(Fd::from(letter)));
    join("forkserver", server.spawn(child, arguments)?)
}

fn join(method: &str, child: Process) -> Result<()> {
    println!("main process started {}", child.pid());
    println!("main process joined {method}, {}", child.join()?);
    Ok(())
}

fn child((method, letter): Arguments) -> Result<u8> {
    let (pid, parent) = (process::id(), parent_id());
    println!("{method}: child process pid is {pid} ppid is {parent}");
    println!("{method}: the parent's ppid is {}", parent_of(parent)?);
    let changed = CHANGED.load(Ordering::Relaxed);
    let variable = if changed { "changed" } else { "unchanged" };
    let file = if is_open(FILE)? { "open" } else { "closed" };
    println!("{method}: the variable is {variable}, the file is {file}");
    if let Some(letter) = letter {
        let mut text = String::new();
        let read = File::from(letter.into_inner()).read_to_string(&mut text);
        read.context("read the letter")?;
        println!("{method}: received {text}");
    }
    Ok(7)
}

fn is_open(file: &str) -> Result<bool> {
    let mut files = fs::read_dir("/proc/self/fd").context("list the open files")?;
    let is_file = |path: &Path| fs::read_link(path).is_ok_and(|target| target == Path::new(file));
    Ok(files.any(|entry| entry.is_ok_and(|entry| is_file(&entry.path()))))
}

fn parent_of(pid: u32) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("look at a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.context("no parent in /proc")?.trim().to_owned())
}
