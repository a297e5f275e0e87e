//! What the loop sleeps in, which is another system call on each system, and what follows from that.
//!
//! Python:  `SelectorEventLoop` (`selectors.DefaultSelector`: epoll, kqueue), `ProactorEventLoop` (IOCP, on Windows)
//! Differs: tokio sleeps in the same (crate mio), and there is nothing to choose.
//! Notes:   epoll (Linux) and kqueue (macOS, BSD) say that something *can* be done; the program then does it. IOCP
//!          says that it *was* done. asyncio has two kinds of loops for the two, and on Windows either add_reader or
//!          subprocesses; tokio looks alike on all. Regular files are always ready for epoll and kqueue, so both read
//!          them in threads. Unix only: `AsyncFd`, `tokio::signal::unix`, `tokio::net::unix`. Windows only: named
//!          pipes, `tokio::signal::windows`.
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
        .context("make the runtime")?;
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

/// Whether this process has a descriptor of the selector; only Linux shows that, in `/proc`.
fn descriptors() -> Result<&'static str> {
    let fds = fs::read_dir("/proc/self/fd").context("list my descriptors")?;
    let links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let mut epoll = links.filter(|link| link.to_string_lossy() == "anon_inode:[eventpoll]");
    Ok(if epoll.next().is_some() {
        "a descriptor of epoll"
    } else {
        "none"
    })
}
