//! `Event`: a condition in shared memory that processes sleep for, without a lock of its own.
//!
//! It does what the semaphores inside Python's `multiprocessing.Condition` do. A wake-up costs no system call while
//! nobody sleeps, and a process that is killed asleep delays the others for 50 ms at most.

use std::io;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence, futex};

/// The longest sleep before a sleeper checks its condition again. A process usually wakes it earlier, but that process,
/// or a sleeper that was woken instead, may have been killed first.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A condition that processes sleep for. Zeroed memory is a valid event.
///
/// A process that finds its condition false calls [`Event::sleeper`], checks the condition again, calls
/// [`Event::sleep`] if it is still false, then [`Event::awake`], and starts over. A process that makes the condition
/// true calls [`Event::happened`] afterwards. Either the second check sees the change, or `happened` sees the sleeper.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Event {
    /// The lower half counts the processes between `sleeper` and `awake`, the upper half those of them that were woken.
    ///
    /// A process that is killed in between stays in the lower half. The first wake-up that goes to it moves it into the
    /// upper half too. A sleeper that wakes by itself may undo that, so a dead sleeper costs a futile system call now
    /// and then.
    sleepers: AtomicU64,
    /// The futex. It changes after a sleeper is counted as woken and before the system call that wakes it.
    count: AtomicU32,
}

/// One woken sleeper in [`Event::sleepers`].
const WOKEN: u64 = 1 << 32;

impl Event {
    /// Wakes `most` sleepers at most.
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
                    return futex::wake(&self.count, more as u32);
                }
                Err(changed) => sleepers = changed,
            }
        }
    }

    /// Counts the caller as a sleeper, and returns a number for [`Event::sleep`].
    pub fn sleeper(&self) -> u32 {
        // The count comes first: a process that sees this sleeper changes the count after that.
        let count = self.count.load(Ordering::Relaxed);
        self.sleepers.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        count
    }

    /// Sleeps until the event happens, until `until`, or for 50 ms. Returns immediately if the event has happened since
    /// `sleeper` returned `count`. May wake early.
    pub fn sleep(&self, count: u32, until: Option<Instant>) -> io::Result<()> {
        let left = until.map_or(LOOK_AGAIN, |until| {
            until.saturating_duration_since(Instant::now())
        });
        futex::wait(&self.count, count, left.min(LOOK_AGAIN))
    }

    /// Takes the caller out of the sleepers. If it woke by itself while another sleeper was woken, that one counts as
    /// asleep again: it may be woken twice, but no sleeper is forgotten.
    pub fn awake(&self) {
        let fewer =
            |sleepers: u64| Some((sleepers - 1) - if sleepers >= WOKEN { WOKEN } else { 0 });
        let changed = self
            .sleepers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        debug_assert!(changed.is_ok(), "the closure never returns None");
    }
}
