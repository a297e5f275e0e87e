//! `Event`: something in shared memory that processes sleep for.
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

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::thread::futex;

/// How long a process sleeps before it looks again. Usually it is woken earlier; not if the one that was to wake it, or
/// the one that was woken in its place, was killed before it could.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Zeroed memory is a valid event.
///
/// A sleeper looks at what the event is about, and if that is not yet so, calls [`Event::sleeper`], looks once more, calls
/// [`Event::sleep`], then [`Event::awake`], and looks again. Whoever makes it so calls [`Event::happened`] afterwards.
/// Either the sleeper's second look sees what was made so, or whoever made it so sees the sleeper.
#[derive(Default)]
#[repr(C)]
pub struct Event {
    /// How many are between `sleeper` and `awake`; in the upper half, how many of them were woken. A process that was
    /// killed there stays among the sleepers; after one wake-up for nothing it is among the woken too. Whoever wakes up by
    /// itself may make it a sleeper again, so it costs a system call now and then.
    sleepers: AtomicU64,
    /// Changes when somebody has been counted among the woken and before it is woken; they sleep on it.
    count: AtomicU32,
}

const WOKEN: u64 = 1 << 32;

impl Event {
    /// Wakes those who sleep, `most` at most.
    pub fn happened(&self, most: u32) {
        fence(Ordering::SeqCst);
        let mut sleepers = self.sleepers.load(Ordering::Relaxed);
        loop {
            let asleep = (sleepers % WOKEN).saturating_sub(sleepers / WOKEN);
            let more = asleep.min(most.into());
            if more == 0 {
                return;
            }
            let woken = sleepers + more * WOKEN;
            match self.sleepers.compare_exchange(
                sleepers,
                woken,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    self.count.fetch_add(1, Ordering::Relaxed);
                    // Only a bad address can fail.
                    futex::wake(&self.count, futex::Flags::empty(), more as u32).ok();
                    return;
                }
                Err(changed) => sleepers = changed,
            }
        }
    }

    /// Takes note of one more who sleeps, and returns a number for [`Event::sleep`].
    pub fn sleeper(&self) -> u32 {
        // First the count: whoever has seen this sleeper and wakes it changes the count after that.
        let count = self.count.load(Ordering::Relaxed);
        self.sleepers.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        count
    }

    /// Sleeps until the event happens or `until` has come; not at all if it has happened since `sleeper` returned `count`.
    /// It may also wake for nothing.
    pub fn sleep(&self, count: u32, until: Option<Instant>) -> Result<()> {
        let left = until.map_or(LOOK_AGAIN, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let time = futex::Timespec::try_from(left.min(LOOK_AGAIN)).context("a time to sleep")?;
        match futex::wait(&self.count, futex::Flags::empty(), count, Some(&time)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            Err(error) => Err(error).context("sleep"),
        }
    }

    /// Takes note that one sleeps less. If it has woken up by itself, another one that was woken is taken for asleep: it
    /// may be woken twice, but nobody is forgotten.
    pub fn awake(&self) {
        let fewer =
            |sleepers: u64| Some((sleepers - 1) - if sleepers >= WOKEN { WOKEN } else { 0 });
        // It is always changed.
        let changed = self
            .sleepers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        debug_assert!(changed.is_ok());
    }
}
