//! Limit how many tasks run at the same time, and detect one release too many.
//!
//! Python:  `asyncio.BoundedSemaphore`
//! Differs: `acquire` returns a permit, and dropping it releases it once, also in a cancelled task. Only a forgotten permit
//!          is released explicitly, as in Python, so only there a release can be one too many.
//!
//! If every permit is dropped, use tokio's `Semaphore`, which cannot be released too often either.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["sync"] }
//! ```

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::mem;

use tokio::sync::Semaphore;

/// A fixed number of permits, for tasks that share it by reference or in an `Arc`.
///
/// Waiters are served in the order in which they came, before later callers. A cancelled `acquire` has acquired nothing; a
/// permit on its way to it goes to the next waiter. A task that is cancelled or panics releases its permit.
///
/// Acquiring is one atomic operation, or a lock if it has to wait. Releasing takes a lock, and wakes a waiter if there is
/// one. A permit that is forgotten and then released costs about twice as much.
#[derive(Debug)]
pub struct BoundedSemaphore {
    /// Neither semaphore is ever closed, so `acquire` cannot fail.
    free: Semaphore,
    /// Counts the forgotten permits: `release` takes one from here, and fails if there is none.
    forgotten: Semaphore,
}

/// A permit, which is released when it is dropped.
#[derive(Debug)]
#[must_use = "a permit is released when it is dropped"]
pub struct Permit<'a>(&'a BoundedSemaphore);

/// More permits were released than forgotten; Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleasedTooOften;

impl BoundedSemaphore {
    /// Creates a semaphore with `value` free permits.
    pub fn new(value: usize) -> BoundedSemaphore {
        BoundedSemaphore {
            free: Semaphore::new(value.min(Semaphore::MAX_PERMITS)),
            forgotten: Semaphore::new(0),
        }
    }

    /// Waits until a permit is free, and takes it; Python's `async with`, and with [`Permit::forget`] its `acquire()`.
    pub async fn acquire(&self) -> Permit<'_> {
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Permit(self)
    }

    /// Takes a permit, or returns `None` if none is free.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.free.try_acquire().ok()?.forget();
        Some(Permit(self))
    }

    /// Releases a permit that was forgotten; Python's `release()`. Never waits.
    ///
    /// # Errors
    ///
    /// [`ReleasedTooOften`] if no permit is forgotten.
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        let permit = self.forgotten.try_acquire();
        permit.map_err(|_| ReleasedTooOften)?.forget();
        self.free.add_permits(1);
        Ok(())
    }

    /// Returns the number of free permits, which another task may change at once.
    pub fn available(&self) -> usize {
        self.free.available_permits()
    }
}

impl Permit<'_> {
    /// Keeps the permit acquired, beyond the end of this task, until a call of [`BoundedSemaphore::release`].
    pub fn forget(self) {
        self.0.forgotten.add_permits(1);
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.free.add_permits(1);
    }
}

impl Display for ReleasedTooOften {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedSemaphore released too many times")
    }
}

impl Error for ReleasedTooOften {}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn no_more_can_be_released_than_was_acquired() {
        let semaphore = BoundedSemaphore::new(2);
        assert_eq!(semaphore.release(), Err(ReleasedTooOften));
        let permit = semaphore.try_acquire().unwrap();
        assert_eq!(
            semaphore.release(),
            Err(ReleasedTooOften),
            "it has an owner"
        );
        semaphore.try_acquire().unwrap().forget();
        assert!(semaphore.try_acquire().is_none());
        drop(permit);
        semaphore.release().unwrap();
        assert_eq!(semaphore.release(), Err(ReleasedTooOften));
        assert_eq!(semaphore.available(), 2);
        assert!(BoundedSemaphore::new(0).try_acquire().is_none());
        assert!(BoundedSemaphore::new(usize::MAX).try_acquire().is_some());
    }

    #[test]
    fn first_come_first_served_and_a_dropped_acquire_passes_its_permit_on() {
        let semaphore = BoundedSemaphore::new(1);
        drop(semaphore.acquire());
        for served in [false, true] {
            let permit = semaphore.try_acquire().unwrap();
            let mut dropped = Box::pin(semaphore.acquire());
            let mut next = pin!(semaphore.acquire());
            assert!(poll(dropped.as_mut()).is_pending());
            assert!(poll(next.as_mut()).is_pending());
            if served {
                drop(permit);
                assert!(semaphore.try_acquire().is_none(), "it is promised");
                assert!(poll(next.as_mut()).is_pending());
                drop(dropped);
            } else {
                drop(dropped);
                drop(permit);
            }
            assert!(poll(next.as_mut()).is_ready());
            assert_eq!(semaphore.available(), 1);
        }
        // Dropped with the permit, as by a task that ends between two awaits.
        assert!(poll(pin!(semaphore.acquire())).is_ready());
        assert_eq!(semaphore.available(), 1);
    }

    /// A third of a thousand tasks is cancelled at any await; some forget and release. Never more than three are inside.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thousand_tasks() {
        let semaphore = Arc::new(BoundedSemaphore::new(3));
        let inside = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let mut cancel = vec![];
        for n in 0..1000 {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            let handle = tasks.spawn(async move {
                for round in 0..5 {
                    let permit = semaphore.acquire().await;
                    let entered = Entered::new(&inside);
                    if (n + round) % 5 == 0 {
                        drop(entered);
                        permit.forget();
                        semaphore.release().unwrap();
                    } else {
                        yield_now().await;
                        drop(entered);
                    }
                }
            });
            cancel.extend((n % 3 == 0).then_some(handle));
        }
        for handle in cancel {
            handle.abort();
            yield_now().await;
        }
        while let Some(result) = tasks.join_next().await {
            assert!(result.map_or_else(|error| error.is_cancelled(), |()| true));
        }
        assert_eq!(semaphore.available(), 3);
        assert_eq!(semaphore.release(), Err(ReleasedTooOften));
    }

    struct Entered<'a>(&'a AtomicUsize);

    impl Entered<'_> {
        fn new(inside: &AtomicUsize) -> Entered<'_> {
            assert!(inside.fetch_add(1, Ordering::Relaxed) < 3, "four are in");
            Entered(inside)
        }
    }

    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
