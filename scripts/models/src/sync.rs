//! The parts of `parking_lot` that the blocks use, on loom's locks: waits of a condition variable can have a time limit.
//!
//! A time limit other than [`Duration::MAX`] may pass at any moment: a separate thread ends the wait if nothing else has.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

use loom::sync;
use loom::thread;

#[derive(Debug)]
pub struct Mutex<T>(sync::Mutex<T>);

/// A guard with a reference to its mutex, which a wait locks again.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only during a wait.
    guard: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = Some(guard);
        MutexGuard { mutex: self, guard }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_deref().unwrap_or_else(|| unreachable!())
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_deref_mut().unwrap_or_else(|| unreachable!())
    }
}

/// A queue of sleepers; its lock stands for the kernel's.
#[derive(Debug, Clone)]
pub struct Condvar(sync::Arc<(sync::Mutex<Sleepers>, sync::Condvar)>);

#[derive(Debug, Default)]
struct Sleepers {
    /// The numbers of the sleeping threads, in order; each wait has its own number.
    asleep: VecDeque<u32>,
    next: u32,
}

impl Condvar {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Condvar {
        Condvar(sync::Arc::new(Default::default()))
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

    pub fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) {
        self.wait_while_for(guard, condition, Duration::MAX);
    }

    /// Returns `true` if the time limit passed. Like parking_lot, it checks the condition first.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> bool {
        let mut over = timeout == Duration::ZERO;
        while condition(guard) {
            if over {
                return true;
            }
            over = self.wait(guard, timeout < Duration::MAX);
        }
        false
    }

    /// Sleeps until it is woken or the time limit passes. Returns `true` if the limit passed.
    fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, limited: bool) -> bool {
        let mut sleepers = self.sleepers();
        let number = sleepers.next;
        sleepers.next += 1;
        sleepers.asleep.push_back(number);
        drop(guard.guard.take());
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
        let locked = guard.mutex.0.lock();
        guard.guard = Some(locked.unwrap_or_else(PoisonError::into_inner));
        over
    }

    fn sleepers(&self) -> sync::MutexGuard<'_, Sleepers> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
