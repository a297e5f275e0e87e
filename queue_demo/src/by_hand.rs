//! Share a thousand items among a hundred processes through one kernel socket.
//!
//! Python:  `multiprocessing.Queue`
//! Differs: the kernel keeps the items. Each is a packet, put and got whole, so no lock is needed that a killed process
//!          could keep. `put` blocks while the socket is full. `close` ends the queue: every consumer reads to
//!          the end.
//! Order:   as in queue, whose trace and Python this example shares.
//! Lacks:   - A limit in items, their number, and calls that time out (bounded).
//!          - `task_done` and `join` (joinable_queue).
//!          - A child that does not inherit the queue by fork (simple_queue).
//!          - Items of more than 64 KiB (fault descriptor_limit puts some).
//!          - Speed: `multiproc::Queue` is 5 to 10 times as fast for small items (bench, group queue).
//! Platform: Linux (`SOCK_SEQPACKET` with several readers, the parent-death signal)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! nix = { version = "0.31", features = ["process", "signal"] }
//! postcard = { version = "1", features = ["use-std"] }
//! rustix = { version = "1", features = ["net"] }
//! serde = "1"
//! ```

use std::os::fd::OwnedFd;
use std::{marker::PhantomData, process, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::{buffer::spare_capacity, io::retry_on_intr};
use serde::{Serialize, de::DeserializeOwned};

const SECOND: Duration = Duration::from_millis(100);
const CHILDREN: usize = 100;

/// How many bytes a packet may have: room for 64 KiB and their length.
const LARGEST: usize = 65 << 10;

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    let queue = KernelQueue::new()?;
    let children = (0..CHILDREN)
        .map(|_| fork(|| r(&queue)))
        .collect::<Result<Vec<_>>>()?;
    for count in 0..1000 {
        queue.put(&count)?;
    }
    queue.close()?;
    for child in children {
        let status = waitpid(child, None).context("wait for a child")?;
        let success = status == WaitStatus::Exited(child, 0);
        ensure!(success, "a child failed: {status:?}");
    }
    println!("main process joined {CHILDREN} child processes");
    Ok(())
}

fn r(queue: &KernelQueue<u32>) -> Result<()> {
    while let Some(count) = queue.get()? {
        println!("Child process {} count {count}", process::id());
        thread::sleep(SECOND);
    }
    Ok(())
}

/// A queue of items of type `T` in a pair of sockets, which forked children share with their parent.
pub struct KernelQueue<T> {
    input: OwnedFd,
    output: OwnedFd,
    items: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> KernelQueue<T> {
    /// Makes an empty queue.
    pub fn new() -> Result<KernelQueue<T>> {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (input, output) = net::socketpair(AddressFamily::UNIX, kind, flags, None)
            .context("make a pair of sockets")?;
        Ok(KernelQueue {
            input,
            output,
            items: PhantomData,
        })
    }

    /// Puts an item, blocking while the socket is full. Fails after [`KernelQueue::close`].
    pub fn put(&self, item: &T) -> Result<()> {
        // The first byte tells an empty item from the end of the queue.
        let packet = postcard::to_extend(item, vec![0]).context("serialize an item")?;
        let size = packet.len();
        ensure!(
            size <= LARGEST,
            "an item of {size} bytes; at most {LARGEST} fit"
        );
        retry_on_intr(|| net::send(&self.input, &packet, SendFlags::NOSIGNAL))
            .context("put an item")?;
        Ok(())
    }

    /// Gets the oldest item, blocking while the queue is empty; `None` when it is closed and empty.
    pub fn get(&self) -> Result<Option<T>> {
        let mut packet = Vec::with_capacity(LARGEST);
        retry_on_intr(|| {
            let buffer = spare_capacity(&mut packet);
            net::recv(&self.output, buffer, RecvFlags::empty())
        })
        .context("get an item")?;
        match &packet[..] {
            [] => Ok(None),
            [_, item @ ..] => Ok(Some(postcard::from_bytes(item).context("read an item")?)),
        }
    }

    /// Ends the queue for all processes: `put` fails, and `get` returns what is left and then `None`.
    pub fn close(&self) -> Result<()> {
        net::shutdown(&self.input, Shutdown::Write).context("close the queue")
    }
}

/// Forks a child that runs `work` and is killed when this process ends.
fn fork(work: impl FnOnce() -> Result<()>) -> Result<Pid> {
    let parent = getpid();
    // SAFETY: this process has one thread, so the child inherits no lock that another thread holds.
    match unsafe { nix::unistd::fork() }.context("fork")? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
            let done = bound.then(work).context("the parent has ended").flatten();
            if let Err(error) = &done {
                eprintln!("{error:#}");
            }
            process::exit(done.is_err().into())
        }
    }
}
