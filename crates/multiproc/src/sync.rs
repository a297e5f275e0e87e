//! The atomics and the futex of [`Event`](crate::event::Event): std's and the kernel's, or loom's with `--cfg loom`.
//!
//! Only `Event` is modelled. The rest of the crate compiles with `--cfg loom` but must not run: shared memory cannot
//! hold loom's atomics.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The futex system call.
#[cfg(not(loom))]
pub(crate) mod futex {
    use std::io;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

    use super::AtomicU32;
    use crate::error::Context;

    /// Sleeps until woken, at most for `limit`. Returns immediately if `word` is not `seen`. May return early.
    pub(crate) fn wait(word: &AtomicU32, seen: u32, limit: Duration) -> io::Result<()> {
        let limit = Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        match futex::wait(word, Flags::empty(), seen, Some(&limit)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            Err(error) => Err(error).context("sleep on a futex"),
        }
    }

    /// Wakes at most `count` sleepers.
    pub(crate) fn wake(word: &AtomicU32, count: u32) {
        // The only possible error is an invalid address, and a reference is always valid.
        futex::wake(word, Flags::empty(), count).ok();
    }
}

/// A model of the futex system call: a queue of sleepers, with a lock like the kernel's. Time never passes in the model,
/// so a lost wake-up is a deadlock, which loom reports.
#[cfg(loom)]
pub(crate) mod futex {
    use std::collections::VecDeque;
    use std::io;
    use std::sync::PoisonError;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex, MutexGuard};

    use super::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Kernel {
        /// The numbers of the sleepers, in order.
        asleep: VecDeque<u32>,
        next: u32,
    }

    loom::lazy_static! {
        static ref KERNEL: (Mutex<Kernel>, Condvar) = Default::default();
    }

    fn kernel() -> MutexGuard<'static, Kernel> {
        KERNEL.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait(word: &AtomicU32, seen: u32, _: Duration) -> io::Result<()> {
        let mut kernel = kernel();
        if word.load(Ordering::Relaxed) != seen {
            return Ok(());
        }
        let number = kernel.next;
        kernel.next += 1;
        kernel.asleep.push_back(number);
        while kernel.asleep.contains(&number) {
            let woken = KERNEL.1.wait(kernel);
            kernel = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    pub(crate) fn wake(_: &AtomicU32, count: u32) {
        let mut kernel = kernel();
        let count = kernel.asleep.len().min(count as usize);
        kernel.asleep.drain(..count);
        KERNEL.1.notify_all();
    }
}
