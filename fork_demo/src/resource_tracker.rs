//! Have the resource tracker unlink the shared memory of a killed child.
//!
//! Python:  `multiprocessing.resource_tracker` and `shared_memory.SharedMemory`
//! Differs: the tracker is started by hand, and only for memory that has a name. The memory that `multiproc`
//!          shares has none, so a kill leaves nothing to clean up.
//! Order:   the segment exists until every process that uses the tracker has ended; the tracker unlinks it and ends.
//! Platform: Linux (the names are files in `/dev/shm`)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::fs::{self, File};
use std::io::{self, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::{process, thread};

use anyhow::{Context, Result};
use multiproc::{fork, init, resource_tracker::Tracker};

pub fn main() -> Result<()> {
    init([]);
    let name = format!("resource_tracker.{}", process::id());
    println!("main process pid is {}", process::id());
    let tracker = Tracker::start()?;
    let (mut ready, child_is_ready) = io::pipe().context("make a pipe")?;
    let child = fork(|| own_segments(&name, &tracker, &child_is_ready))?;
    // Otherwise the read below would wait for this process too, if the child died early.
    drop(child_is_ready);
    ready.read_exact(&mut [0]).context("wait for the child")?;
    println!("segment is {}", look(&name));
    println!("main process kill {}", child.pid());
    child.kill()?;
    println!("main process joined, {}", child.join()?);
    println!("segment is {}", look(&name));
    tracker.join()?;
    println!("resource tracker ended");
    println!("segment is {}", look(&name));
    Ok(())
}

fn own_segments(name: &str, tracker: &Tracker, mut ready: &PipeWriter) -> Result<()> {
    let pid = process::id();
    let scratch = format!("{name}.scratch");
    make(&scratch, tracker)?;
    fs::remove_file(path(&scratch)).context("unlink a segment")?;
    tracker.unregister(&scratch)?;
    println!("child process {pid} made a segment and unlinked it");
    make(name, tracker)?;
    println!("child process {pid} made a segment");
    ready.write_all(&[0]).context("tell the parent")?;
    loop {
        thread::park();
    }
}

/// Registers a name before it is made, so that a kill at any moment leaves nothing behind.
fn make(name: &str, tracker: &Tracker) -> Result<()> {
    tracker.register(name)?;
    if let Err(error) = File::create_new(path(name)) {
        // The name may be another program's.
        tracker.unregister(name)?;
        return Err(error).with_context(|| format!("make the segment {name}"));
    }
    Ok(())
}

fn look(name: &str) -> &'static str {
    if path(name).exists() { "there" } else { "gone" }
}

fn path(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name)
}
