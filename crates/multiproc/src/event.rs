//! `Event`: a condition variable in shared memory, without a lock.
//!
//! It does what the semaphores inside Python's `multiprocessing.Condition` do. A wake-up costs no system call while no
//! process sleeps. A process that is killed while it sleeps delays the others by at most 50 ms.

use std::io;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence, futex};

/// The longest sleep before a sleeper checks its condition again. Usually another process wakes it earlier, but that
/// process, or a sleeper that was woken instead, may be killed first.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A condition that processes can wait for. Zeroed memory is a valid event.
///
/// A process that finds its condition false calls [`Event::sleeper`], checks the condition again, calls
/// [`Event::sleep`] if it is still false, then [`Event::awake`], and starts over. A process that makes the condition
/// true calls [`Event::happened`] afterwards. Either the second check sees the change, or `happened` sees the sleeper.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Event {
    /// The lower half counts the processes between `sleeper` and `awake`; the upper half counts those already woken.
    ///
    /// A process that is killed in between stays in the lower half. The first wake-up meant for it counts it in the upper
    /// half too. A sleeper that wakes by itself may undo that, so a dead sleeper occasionally costs a useless system call.
    sleepers: AtomicU64,
    /// The futex. It changes between counting a sleeper as woken and the system call that wakes it.
    count: AtomicU32,
}

/// One woken sleeper in [`Event::sleepers`].
const WOKEN: u64 = 1 << 32;

impl Event {
    /// Wakes at most `most` sleepers.
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
        // Load the count first: a process that sees this sleeper then changes the count later.
        let count = self.count.load(Ordering::Relaxed);
        self.sleepers.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        count
    }

    /// Sleeps until the event happens, at most until `until` and at most for 50 ms. Returns immediately if the event has
    /// happened since `sleeper` returned `count`. May wake early.
    pub fn sleep(&self, count: u32, until: Option<Instant>) -> io::Result<()> {
        let left = until.map_or(LOOK_AGAIN, |until| {
            until.saturating_duration_since(Instant::now())
        });
        futex::wait(&self.count, count, left.min(LOOK_AGAIN))
    }

    /// Removes the caller from the sleepers. If the caller woke by itself while another sleeper was woken, the other one
    /// counts as asleep again: it may be woken twice, but no sleeper is forgotten.
    pub fn awake(&self) {
        let fewer =
            |sleepers: u64| Some((sleepers - 1) - if sleepers >= WOKEN { WOKEN } else { 0 });
        let changed = self
            .sleepers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        debug_assert!(changed.is_ok(), "the closure never returns None");
    }
}
