//! See which system call the loop sleeps in, and what follows from it.
//!
//! Python:  `SelectorEventLoop` (`selectors.DefaultSelector`: epoll, kqueue), `ProactorEventLoop` (IOCP, on Windows)
//! Differs: tokio sleeps in the same calls (crate mio), and there is nothing to choose. epoll (Linux) and kqueue (macOS, BSD) say
//!          that something *can* be done; IOCP says that it *was* done. asyncio has a kind of loop for each, and a
//!          loop on Windows has either add_reader or subprocesses; tokio's API is the same everywhere. Regular files are always ready for epoll and
//!          kqueue, so both read them in threads. Only on Unix: `AsyncFd`, `tokio::signal::unix`. Only on Windows: named pipes.
//! Order:   one line after the other.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["net", "rt"] }
//! ```

use std::fs;

use anyhow::{Context, Result};
use tokio::runtime::Builder;

pub fn main() -> Result<()> {
    println!("here the loop sleeps in {SELECTOR}");
    println!("before there is a loop: {}", descriptors()?);
    let event_loop = Builder::new_current_thread()
        .enable_io()
        .build()
        .context("create the runtime")?;
    println!("while there is a loop: {}", descriptors()?);
    drop(event_loop);
    println!("after the loop: {}", descriptors()?);
    Ok(())
}

const SELECTOR: &str = if cfg!(any(target_os = "linux", target_os = "android")) {
    "epoll"
} else if cfg!(windows) {
    "IOCP"
} else {
    "kqueue"
};

/// Looks for a descriptor of epoll in `/proc`, which only Linux has.
fn descriptors() -> Result<&'static str> {
    let fds = fs::read_dir("/proc/self/fd").context("list the descriptors of this process")?;
    let links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let mut epoll = links.filter(|link| link.to_string_lossy() == "anon_inode:[eventpoll]");
    Ok(if epoll.next().is_some() {
        "a descriptor of epoll"
    } else {
        "none"
    })
}
