//! A model of `poll`, `eventfd` and the clock for loom, under one lock, which stands for the kernel.
//!
//! Time stands still until [`time_is_over`]; after that every deadline has passed.

use std::sync::PoisonError;
use std::time::Duration;

use loom::sync::Condvar;

pub use std::sync::atomic::AtomicU64; // The callers' numbers are in a static, which loom does not support.
pub use std::sync::{Arc, OnceLock, Weak};

pub use loom::sync::atomic::{AtomicBool, Ordering};
pub use loom::sync::{Mutex, MutexGuard};

pub use rustix::event::{EventfdFlags, PollFlags, Timespec};
pub use rustix::io::Errno;

#[derive(Default)]
struct Kernel {
    /// The counter of each descriptor. That of an eventfd is like the real one; a socket with another value than zero has
    /// been hung up.
    counts: Vec<u64>,
    time_is_over: bool,
}

loom::lazy_static! {
    static ref KERNEL: (Mutex<Kernel>, Condvar) = Default::default();
}

fn kernel() -> MutexGuard<'static, Kernel> {
    KERNEL.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every deadline has passed from now on.
pub fn time_is_over() {
    kernel().time_is_over = true;
    KERNEL.1.notify_all();
}

#[derive(Clone, Copy)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Instant {
        Instant(Duration::ZERO)
    }

    pub fn checked_add(&self, time: Duration) -> Option<Instant> {
        self.0.checked_add(time).map(Instant)
    }

    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        match kernel().time_is_over {
            true => Duration::ZERO,
            false => self.0.saturating_sub(earlier.0),
        }
    }
}

/// The index of a counter of the kernel.
pub struct OwnedFd(usize);

pub trait AsFd {
    fn as_fd(&self) -> &OwnedFd;
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> &OwnedFd {
        self
    }
}

pub fn eventfd(count: u32, _: EventfdFlags) -> Result<OwnedFd, Errno> {
    let mut kernel = kernel();
    kernel.counts.push(count.into());
    Ok(OwnedFd(kernel.counts.len() - 1))
}

pub fn socket() -> Result<OwnedFd, Errno> {
    eventfd(0, EventfdFlags::empty())
}

pub fn hang_up(socket: &OwnedFd) -> Result<usize, Errno> {
    write(socket, &1u64.to_ne_bytes())
}

pub fn write(fd: &OwnedFd, count: &[u8; 8]) -> Result<usize, Errno> {
    kernel().counts[fd.0] += u64::from_ne_bytes(*count);
    KERNEL.1.notify_all();
    Ok(8)
}

pub fn read(eventfd: &OwnedFd, count: &mut [u8; 8]) -> Result<usize, Errno> {
    let mut kernel = kernel();
    let counted = std::mem::take(&mut kernel.counts[eventfd.0]);
    *count = counted.to_ne_bytes();
    match counted {
        0 => Err(Errno::AGAIN),
        _ => Ok(8),
    }
}

pub struct PollFd<'a> {
    fd: &'a OwnedFd,
    events: PollFlags,
    revents: PollFlags,
}

impl<'a> PollFd<'a> {
    pub fn new(fd: &'a OwnedFd, events: PollFlags) -> PollFd<'a> {
        PollFd {
            fd,
            events,
            revents: PollFlags::empty(),
        }
    }

    pub fn from_borrowed_fd(fd: &'a OwnedFd, events: PollFlags) -> PollFd<'a> {
        PollFd::new(fd, events)
    }

    pub fn revents(&self) -> PollFlags {
        self.revents
    }
}

pub fn poll(fds: &mut [PollFd], time: Option<&Timespec>) -> Result<usize, Errno> {
    let mut kernel = kernel();
    loop {
        for fd in &mut *fds {
            fd.revents = match kernel.counts[fd.fd.0] {
                0 => PollFlags::empty(),
                _ => fd.events,
            };
        }
        let ready = fds.iter().filter(|fd| !fd.revents.is_empty()).count();
        if ready > 0 || time.is_some() && kernel.time_is_over {
            return Ok(ready);
        }
        kernel = KERNEL
            .1
            .wait(kernel)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
