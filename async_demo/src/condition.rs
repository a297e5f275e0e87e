//! Let the owner of a lock wait until another owner has changed its data.
//!
//! Python:  `asyncio.Condition`; tokio has none
//! Differs: it owns the data. `wait` and `notify` are methods of the guard, so they need the lock. `wait` consumes the guard, so a
//!          task that is cancelled while it waits does not get the lock back first.
//!
//! Where one notification is enough, use a `Notify` beside a `Mutex`; for a value that all tasks watch, use a `watch` channel.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["sync"] }
//! ```

use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, Notify};

/// A value that tasks change under a lock, and wait for. They share it by reference or in an `Arc`.
///
/// Tasks get the lock and the notifications in the order in which they came. There is one queue of waiters: if they wait for
/// different changes, notify all.
///
/// A cancelled `lock` has locked nothing. A cancelled `wait` has released the lock, and passes a notification on to the next
/// waiter. Only then can a `wait` return without a notification since it began: check the value again, as in Python, or
/// use [`ConditionGuard::wait_for`]. A panic releases the lock without poisoning it.
///
/// It consists of tokio's `Mutex` and `Notify`. A wait allocates nothing, and locks a second time.
#[derive(Debug, Default)]
pub struct Condition<T> {
    mutex: Mutex<T>,
    notify: Notify,
    /// Each `wait` holds a clone, so the count is the number of waiters.
    waiting: Arc<()>,
}

/// The lock, which is released when this is dropped.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct ConditionGuard<'a, T> {
    condition: &'a Condition<T>,
    guard: MutexGuard<'a, T>,
}

impl<T> Condition<T> {
    /// Creates a condition with this value, not locked.
    pub fn new(value: T) -> Condition<T> {
        Condition {
            mutex: Mutex::new(value),
            notify: Notify::new(),
            waiting: Arc::new(()),
        }
    }

    /// Takes the lock, waiting until it is free; Python's `async with`.
    pub async fn lock(&self) -> ConditionGuard<'_, T> {
        ConditionGuard {
            condition: self,
            guard: self.mutex.lock().await,
        }
    }
}

impl<'a, T> ConditionGuard<'a, T> {
    /// Releases the lock, waits for a notification, and takes the lock again.
    pub async fn wait(self) -> ConditionGuard<'a, T> {
        let condition = self.condition;
        let _counts = Arc::clone(&condition.waiting);
        let mut notified = pin!(condition.notify.notified());
        // Enters the line before it releases the lock. A stored notification was meant for waiters that are gone.
        while notified.as_mut().enable() {
            notified.set(condition.notify.notified());
        }
        drop(self);
        notified.await;
        let pass_on = PassOn(&condition.notify);
        let guard = condition.lock().await;
        mem::forget(pass_on);
        guard
    }

    /// Waits until the predicate is true; returns immediately if it is already.
    pub async fn wait_for(
        mut self,
        mut predicate: impl FnMut(&mut T) -> bool,
    ) -> ConditionGuard<'a, T> {
        while !predicate(&mut self) {
            self = self.wait().await;
        }
        self
    }

    /// Wakes the first `n` waiters, or all if there are fewer. They go on one by one, as they get the lock.
    pub fn notify(&self, n: usize) {
        // Without a waiter in line, `Notify` stores the first of these, and the next `wait` discards it.
        for _ in 0..n.min(Arc::strong_count(&self.condition.waiting) - 1) {
            self.condition.notify.notify_one();
        }
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.condition.notify.notify_waiters();
    }
}

/// A notified waiter that is cancelled passes its notification on.
struct PassOn<'a>(&'a Notify);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl<T> Deref for ConditionGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for ConditionGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Wake, Waker};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn lock<T>(condition: &Condition<T>) -> ConditionGuard<'_, T> {
        match poll(pin!(condition.lock())) {
            Poll::Ready(guard) => guard,
            Poll::Pending => panic!("another task has the lock"),
        }
    }

    /// One that waits.
    fn waiting(condition: &Condition<()>) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let guard = lock(condition);
        let mut wait = Box::pin(async { drop(guard.wait().await) });
        assert!(poll(wait.as_mut()).is_pending());
        wait
    }

    /// How many of them go on.
    fn awake(waiting: &mut [Pin<Box<dyn Future<Output = ()> + '_>>]) -> Vec<bool> {
        let awake = waiting.iter_mut().map(|wait| poll(wait.as_mut()));
        awake.map(|wait| wait.is_ready()).collect()
    }

    #[test]
    fn notify_wakes_the_first_in_line() {
        let condition = Condition::new(());
        let mut waits = [(); 4].map(|()| waiting(&condition));
        assert_eq!(awake(&mut waits), [false; 4]);
        lock(&condition).notify(0);
        assert_eq!(awake(&mut waits), [false; 4]);
        lock(&condition).notify(1);
        assert_eq!(awake(&mut waits[1..]), [false; 3]);
        assert_eq!(awake(&mut waits[..1]), [true]);
        lock(&condition).notify(2);
        assert_eq!(awake(&mut waits[3..]), [false]);
        assert_eq!(awake(&mut waits[1..3]), [true; 2]);
        lock(&condition).notify(usize::MAX);
        assert_eq!(awake(&mut waits[3..]), [true]);
    }

    #[test]
    fn notify_all_wakes_all_and_nothing_is_kept() {
        let condition = Condition::new(());
        lock(&condition).notify(1);
        lock(&condition).notify_all();
        let mut waits = [(); 3].map(|()| waiting(&condition));
        assert_eq!(awake(&mut waits), [false; 3], "notified before they waited");
        lock(&condition).notify_all();
        let mut late = [waiting(&condition)];
        assert_eq!(awake(&mut late), [false]);
        assert_eq!(awake(&mut waits), [true; 3]);
        // More than the waiters, while those that were notified have not gone on.
        lock(&condition).notify(9);
        let mut waits = [waiting(&condition)];
        lock(&condition).notify(9);
        assert_eq!(awake(&mut late), [true]);
        assert_eq!(awake(&mut waits), [true]);
        assert_eq!(awake(&mut [waiting(&condition)]), [false]);
    }

    #[test]
    fn wait_has_the_lock_when_it_returns() {
        let condition = Condition::new(1);
        let mut wait = pin!(lock(&condition).wait());
        assert!(poll(wait.as_mut()).is_pending());
        let mut guard = lock(&condition);
        guard.notify_all();
        *guard = 2;
        assert!(poll(wait.as_mut()).is_pending(), "two have the lock");
        drop(guard);
        let Poll::Ready(guard) = poll(wait.as_mut()) else {
            panic!("not woken");
        };
        assert_eq!(*guard, 2);
        assert!(poll(pin!(condition.lock())).is_pending());
        drop(guard);
        drop(lock(&condition));
    }

    #[test]
    fn wait_for_looks_first_and_after_each_wake_up() {
        let condition = Condition::new(0);
        drop(poll(pin!(lock(&condition).wait_for(|n| *n == 0))));
        let mut wait = pin!(lock(&condition).wait_for(|n| *n == 2));
        for n in 0..=2 {
            assert!(poll(wait.as_mut()).is_pending());
            let mut guard = lock(&condition);
            *guard = n;
            guard.notify(1);
        }
        assert!(poll(wait.as_mut()).is_ready());
    }

    #[test]
    fn dropped_before_it_waits_it_gives_the_lock_back() {
        let condition = Condition::new(());
        drop(lock(&condition).wait());
        let mut locks = Box::pin(condition.lock());
        let guard = lock(&condition);
        assert!(poll(locks.as_mut()).is_pending());
        drop(locks);
        drop(guard);
        drop(lock(&condition));
    }

    #[test]
    fn a_notification_to_one_that_is_dropped_goes_to_the_next() {
        let condition = Condition::new(());
        // It waits; it is notified, and not polled again; it waits for the lock.
        for place in 0..3 {
            let mut dropped = waiting(&condition);
            let mut others = [(); 2].map(|()| waiting(&condition));
            let guard = lock(&condition);
            if place == 0 {
                drop(dropped);
                guard.notify(1);
            } else {
                guard.notify(1);
                if place == 2 {
                    assert!(poll(dropped.as_mut()).is_pending());
                }
                drop(dropped);
            }
            drop(guard);
            assert_eq!(awake(&mut others), [true, false], "place {place}");
        }
    }

    #[test]
    fn a_notification_to_the_last_is_not_kept() {
        let condition = Condition::new(());
        for place in 0..3 {
            let mut dropped = waiting(&condition);
            let guard = lock(&condition);
            guard.notify(1);
            if place == 2 {
                assert!(poll(dropped.as_mut()).is_pending());
            }
            drop(guard);
            drop(dropped);
            assert_eq!(awake(&mut [waiting(&condition)]), [false]);
        }
    }

    type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Runs its task when it is woken, at that moment.
    struct AtOnce(std::sync::Mutex<Option<Task>>);

    impl Wake for AtOnce {
        fn wake(self: Arc<Self>) {
            let mut task = self.0.lock().unwrap().take().unwrap();
            assert!(poll(task.as_mut()).is_ready());
        }
    }

    /// The lock wakes the notifier, which runs while the lock is being released.
    #[test]
    fn who_waits_is_in_line_before_the_lock_is_free() {
        let condition = Arc::new(Condition::new(()));
        let guard = lock(&condition);
        let its = Arc::clone(&condition);
        let mut notifier: Task = Box::pin(async move { its.lock().await.notify(1) });
        let at_once = Arc::new(AtOnce(Default::default()));
        let waker = Waker::from(Arc::clone(&at_once));
        let polled = notifier.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        at_once.0.lock().unwrap().replace(notifier);
        assert!(poll(pin!(guard.wait())).is_ready());
    }

    /// Each ticket is worth one notification. A third of a thousand tasks on four threads is cancelled at any await. If one
    /// notification were lost, a task would wait forever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thousand_tasks() {
        for _ in 0..5 {
            let tickets = Arc::new(Condition::new(0));
            let mut tasks = JoinSet::new();
            let mut cancel = vec![];
            for n in 0..1000 {
                let tickets = Arc::clone(&tickets);
                let handle = tasks.spawn(async move {
                    let mut tickets = tickets.lock().await.wait_for(|left| *left > 0).await;
                    *tickets -= 1;
                });
                cancel.extend((n % 3 == 0).then_some(handle));
            }
            let sell = async {
                for sold in 0..1000 {
                    let mut tickets = tickets.lock().await;
                    *tickets += 1;
                    tickets.notify(1);
                    drop(tickets);
                    if sold % 3 == 0 {
                        cancel[sold / 3].abort();
                    }
                    if sold % 7 == 0 {
                        yield_now().await;
                    }
                }
            };
            sell.await;
            let (mut ended, mut cancelled) = (0, 0);
            while let Some(result) = tasks.join_next().await {
                match result {
                    Ok(()) => ended += 1,
                    Err(error) if error.is_cancelled() => cancelled += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(ended + cancelled, 1000);
            assert!(ended >= 666);
            assert_eq!(*tickets.lock().await, 1000 - ended);
            assert_eq!(Arc::strong_count(&tickets.waiting), 1);
        }
    }
}
