//! `Event`: something in shared memory that processes sleep for, together with the lock that guards what it is about.
//!
//! Python:  the waiting in `multiprocessing.Condition`
//! Differs: nobody is woken by a system call when nobody sleeps, and whoever was killed asleep does no harm for long.
//! Linux:   futex.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["thread"] }
//! ```

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::thread::futex;

/// Zeroed memory is a valid event. All of it changes under the lock; only the kernel looks at `count` without it.
///
/// A sleeper takes the lock, looks at what the event is about, and if that is not yet so, calls [`Event::sleeper`], gives
/// the lock back, calls [`Event::sleep`], takes the lock again, calls [`Event::awake`], and looks again. Whoever makes it
/// so calls [`Event::happened`] with the lock and, best without it, [`Event::wake`].
#[derive(Default)]
#[repr(C)]
pub struct Event {
    /// Counts up when the event happens.
    count: AtomicU32,
    /// How many are between `sleeper` and `awake`, and how many of them were woken. A process that was killed there stays
    /// in `sleepers`; one wake-up later it is in `woken` as well, and costs nothing any more.
    sleepers: AtomicU32,
    woken: AtomicU32,
}

impl Event {
    /// Takes note that the event has happened, and returns how many to wake: one of those who sleep, or all.
    pub fn happened(&self, all: bool) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed);
        let woken = self.woken.load(Ordering::Relaxed);
        let asleep = self.sleepers.load(Ordering::Relaxed).saturating_sub(woken);
        let more = if all { asleep } else { asleep.min(1) };
        self.woken.store(woken + more, Ordering::Relaxed);
        more
    }

    pub fn wake(&self, count: u32) {
        if count > 0 {
            // Only a bad address can fail.
            futex::wake(&self.count, futex::Flags::empty(), count).ok();
        }
    }

    /// Takes note of one more who sleeps, and returns how often the event has happened, for [`Event::sleep`].
    pub fn sleeper(&self) -> u32 {
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        self.count.load(Ordering::Relaxed)
    }

    /// Sleeps until the event happens, `time` at most; not at all if it has happened more often than `seen`.
    pub fn sleep(&self, seen: u32, time: Duration) -> Result<()> {
        let time = futex::Timespec::try_from(time).context("a time to sleep")?;
        match futex::wait(&self.count, futex::Flags::empty(), seen, Some(&time)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            Err(error) => Err(error).context("sleep"),
        }
    }

    /// Takes note that one sleeps less. If it has woken up by itself, another one that was woken is taken for asleep: it
    /// may be woken twice, but nobody is forgotten.
    pub fn awake(&self) {
        let woken = self.woken.load(Ordering::Relaxed);
        self.woken.store(woken.saturating_sub(1), Ordering::Relaxed);
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}
