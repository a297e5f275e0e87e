//! A model of the parts of `tokio::sync` that the blocks use: the simplest code that keeps its documented promises.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::Mutex;

/// A fair semaphore: an added permit goes to the first waiter, if any.
#[derive(Debug)]
pub struct Semaphore(Mutex<Line>);

#[derive(Debug)]
struct Line {
    permits: usize,
    /// The waiters in order, each with its own number. A waiter that gets a permit is removed.
    waiters: VecDeque<(u32, Waker)>,
    next: u32,
}

#[derive(Debug)]
pub struct Permit<'a>(&'a Semaphore);

#[derive(Debug)]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    in_line: Option<u32>,
}

#[derive(Debug)]
pub struct NoPermits;

impl Semaphore {
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    pub fn new(permits: usize) -> Semaphore {
        Semaphore(Mutex::new(Line {
            permits,
            waiters: VecDeque::new(),
            next: 0,
        }))
    }

    pub fn add_permits(&self, n: usize) {
        for _ in 0..n {
            let mut line = self.0.lock();
            let first = line.waiters.pop_front();
            line.permits += usize::from(first.is_none());
            drop(line);
            if let Some((_, waker)) = first {
                waker.wake();
            }
        }
    }

    pub fn acquire(&self) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            in_line: None,
        }
    }

    pub fn try_acquire(&self) -> Result<Permit<'_>, NoPermits> {
        let mut line = self.0.lock();
        line.permits = line.permits.checked_sub(1).ok_or(NoPermits)?;
        Ok(Permit(self))
    }
}

impl Permit<'_> {
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, NoPermits>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Self::Output> {
        let mut line = self.semaphore.0.lock();
        if let Some(number) = self.in_line {
            if let Some((_, waker)) = line.waiters.iter_mut().find(|(n, _)| *n == number) {
                waker.clone_from(context.waker());
                return Poll::Pending;
            }
            drop(line);
            self.in_line = None;
        } else if line.permits == 0 {
            let number = line.next;
            line.next += 1;
            line.waiters.push_back((number, context.waker().clone()));
            drop(line);
            self.in_line = Some(number);
            return Poll::Pending;
        } else {
            line.permits -= 1;
        }
        Poll::Ready(Ok(Permit(self.semaphore)))
    }
}

/// A waiter that is dropped after it was given a permit passes the permit on.
impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.in_line {
            let mut line = self.semaphore.0.lock();
            let before = line.waiters.len();
            line.waiters.retain(|(n, _)| *n != number);
            let served = line.waiters.len() == before;
            drop(line);
            self.semaphore.add_permits(usize::from(served));
        }
    }
}

/// Models `notify_waiters` only, which wakes every existing [`Notified`], polled or not.
#[derive(Debug)]
pub struct Notify(Mutex<Calls>);

#[derive(Debug)]
struct Calls {
    calls: u32,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    calls: u32,
}

impl Notify {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Notify {
        Notify(Mutex::new(Calls {
            calls: 0,
            wakers: vec![],
        }))
    }

    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            calls: self.0.lock().calls,
        }
    }

    pub fn notify_waiters(&self) {
        let mut calls = self.0.lock();
        calls.calls += 1;
        let wakers = mem::take(&mut calls.wakers);
        drop(calls);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        let mut calls = self.notify.0.lock();
        if calls.calls != self.calls {
            return Poll::Ready(());
        }
        calls.wakers.push(context.waker().clone());
        Poll::Pending
    }
}
