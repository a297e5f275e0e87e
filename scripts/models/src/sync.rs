//! What `std::sync` has and loom has not: a condition variable whose waits have a time limit.
//!
//! A limit other than [`Duration::MAX`] may be over at any moment: a thread of its own ends the wait, if nothing else has.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use loom::sync;
use loom::thread;

pub use std::sync::{LockResult, PoisonError};

pub use loom::sync::Arc;

#[derive(Debug)]
pub struct Mutex<T>(sync::Mutex<T>);

/// A guard that knows its mutex, to lock it again after a wait.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { mutex: self, guard })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// One queue of sleepers, whose lock is the kernel's.
#[derive(Debug, Clone)]
pub struct Condvar(Arc<(sync::Mutex<Sleepers>, sync::Condvar)>);

#[derive(Debug, Default)]
struct Sleepers {
    /// Who sleeps, in order, by a number of its own.
    asleep: VecDeque<u32>,
    next: u32,
}

impl Condvar {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Condvar {
        Condvar(Arc::new(Default::default()))
    }

    pub fn notify_one(&self) {
        let mut sleepers = self.sleepers();
        sleepers.asleep.pop_front();
        self.0.1.notify_all();
    }

    pub fn notify_all(&self) {
        self.sleepers().asleep.clear();
        self.0.1.notify_all();
    }

    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        let (guard, _) = self
            .wait_timeout_while(guard, Duration::MAX, condition)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(guard)
    }

    /// As std's: who is woken looks at the condition before the time.
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let mut over = timeout == Duration::ZERO;
        while condition(&mut guard) {
            if over {
                return Ok((guard, true));
            }
            (guard, over) = self.wait(guard, timeout < Duration::MAX);
        }
        Ok((guard, false))
    }

    /// Sleeps until woken, or until the time is over: says which. Time is over once, and then for good.
    fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, limited: bool) -> (MutexGuard<'a, T>, bool) {
        let mut sleepers = self.sleepers();
        let number = sleepers.next;
        sleepers.next += 1;
        sleepers.asleep.push_back(number);
        let MutexGuard { mutex, guard } = guard;
        drop(guard);
        drop(sleepers);
        let clock = limited.then(|| {
            let condvar = self.clone();
            thread::spawn(move || {
                let mut sleepers = condvar.sleepers();
                let before = sleepers.asleep.len();
                sleepers.asleep.retain(|sleeper| *sleeper != number);
                condvar.0.1.notify_all();
                sleepers.asleep.len() < before
            })
        });
        let mut sleepers = self.sleepers();
        while sleepers.asleep.contains(&number) {
            let woken = self.0.1.wait(sleepers);
            sleepers = woken.unwrap_or_else(PoisonError::into_inner);
        }
        drop(sleepers);
        let over = clock.is_some_and(|clock| clock.join().unwrap_or(false));
        let guard = mutex.0.lock().unwrap_or_else(PoisonError::into_inner);
        (MutexGuard { mutex, guard }, over)
    }

    fn sleepers(&self) -> sync::MutexGuard<'_, Sleepers> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
