//! The futex system call, modelled: one queue of sleepers, whose lock is the kernel's.

use std::collections::VecDeque;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex, MutexGuard};

/// What `futex::wait` may return.
#[derive(Debug)]
pub enum Errno {
    AGAIN,
    INTR,
    TIMEDOUT,
    INVAL,
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Errno {}

pub struct Flags;

impl Flags {
    pub fn empty() -> Flags {
        Flags
    }
}

/// A time, which never passes.
pub struct Timespec;

impl TryFrom<Duration> for Timespec {
    type Error = Errno;

    fn try_from(_: Duration) -> Result<Timespec, Errno> {
        Ok(Timespec)
    }
}

#[derive(Default)]
struct Kernel {
    /// Who sleeps, in order, by a number of its own.
    asleep: VecDeque<u32>,
    next: u32,
}

loom::lazy_static! {
    static ref KERNEL: (Mutex<Kernel>, Condvar) = Default::default();
}

fn kernel() -> MutexGuard<'static, Kernel> {
    KERNEL
        .0
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn wait(word: &AtomicU32, _: Flags, seen: u32, _: Option<&Timespec>) -> Result<(), Errno> {
    let mut kernel = kernel();
    if word.load(Ordering::Relaxed) != seen {
        return Err(Errno::AGAIN);
    }
    let number = kernel.next;
    kernel.next += 1;
    kernel.asleep.push_back(number);
    while kernel.asleep.contains(&number) {
        kernel = KERNEL
            .1
            .wait(kernel)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
    }
    Ok(())
}

pub fn wake(_: &AtomicU32, _: Flags, count: u32) -> Result<u32, Errno> {
    let mut kernel = kernel();
    let count = kernel.asleep.len().min(count as usize);
    kernel.asleep.drain(..count);
    KERNEL.1.notify_all();
    Ok(count as u32)
}
