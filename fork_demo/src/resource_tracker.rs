//! A child that owns shared memory is killed; the resource tracker unlinks what it left.
//!
//! Python:  `multiprocessing.resource_tracker` and `shared_memory.SharedMemory`
//! Order:   the segment is there until the last process that knows the tracker is gone, and gone when the tracker is.
//! Needs:   multiprocessing.rs, tracker.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process", "shm"] }
//! ```

use std::io::{self, PipeWriter, Read, Write};
use std::{process, thread};

use anyhow::{Context, Result};
use rustix::fs::Mode;
use rustix::shm::{self, OFlags};

use crate::multiprocessing::{fork, role};
use crate::tracker::{Tracker, track};

pub fn main() -> Result<()> {
    if role().as_deref() == Some(Tracker::ROLE) {
        return track(io::stdin().lock());
    }
    let name = format!("/resource_tracker.{}", process::id());
    println!("main process pid is {}", process::id());
    let tracker = Tracker::start()?;
    let (mut ready, child_is_ready) = io::pipe().context("make a pipe")?;
    let child = fork(|| own_segments(&name, &tracker, &child_is_ready))?;
    // While the parent could write too, it would never read that the child is gone.
    drop(child_is_ready);
    ready
        .read_exact(&mut [0])
        .context("wait for the child's segment")?;
    println!("segment is {}", look(&name));
    println!("main process kill {}", child.pid());
    child.kill()?;
    println!("main process joined, {}", child.join()?);
    println!("segment is {}", look(&name));
    if let Err(error) = tracker.join() {
        // Nobody else knows the name any more.
        shm::unlink(&name).ok();
        return Err(error);
    }
    println!("resource tracker ended");
    println!("segment is {}", look(&name));
    Ok(())
}

fn own_segments(name: &str, tracker: &Tracker, mut ready: &PipeWriter) -> Result<u8> {
    let scratch = format!("{name}.scratch");
    make(&scratch, tracker)?;
    shm::unlink(&scratch).context("unlink a segment")?;
    tracker.unregister(&scratch)?;
    println!(
        "child process {} made a segment and unlinked it",
        process::id()
    );
    make(name, tracker)?;
    println!("child process {} made a segment", process::id());
    ready.write_all(&[0]).context("tell the parent")?;
    loop {
        thread::park();
    }
}

fn make(name: &str, tracker: &Tracker) -> Result<()> {
    tracker.register(name)?;
    let new = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    if let Err(error) = shm::open(name, new, Mode::RUSR | Mode::WUSR) {
        // It may be somebody else's.
        tracker.unregister(name)?;
        return Err(error).with_context(|| format!("make the segment {name}"));
    }
    Ok(())
}

fn look(name: &str) -> &'static str {
    if shm::open(name, OFlags::RDONLY, Mode::empty()).is_ok() {
        "there"
    } else {
        "gone"
    }
}
