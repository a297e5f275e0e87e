//! A model of the parts of `crossbeam-channel` that the blocks use: a queue under a lock, with the same errors. Loom cannot
//! see the crate's own code.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{RecvError, SendError};
pub use crossbeam_channel::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};

use loom::sync::Arc;

use crate::sync::{Condvar, Mutex, MutexGuard};

#[derive(Debug)]
struct Channel<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    room: usize,
    senders: usize,
    receivers: usize,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Channel<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Channel<T>>);

pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

pub fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        state: Mutex::new(State {
            items: VecDeque::new(),
            room,
            senders: 1,
            receivers: 1,
        }),
        changed: Condvar::new(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    fn wait_while(
        &self,
        timeout: Duration,
        condition: impl FnMut(&mut State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        let mut state = self.lock();
        self.changed.wait_while_for(&mut state, condition, timeout);
        state
    }

    fn change(&self, change: impl FnOnce(&mut State<T>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl<T> Sender<T> {
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        self.send_timeout(item, Duration::MAX)
            .map_err(|error| SendError(error.into_inner()))
    }

    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.send_timeout(item, Duration::ZERO)
            .map_err(|error| match error {
                SendTimeoutError::Timeout(item) => TrySendError::Full(item),
                SendTimeoutError::Disconnected(item) => TrySendError::Disconnected(item),
            })
    }

    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        let full = |state: &mut State<T>| state.items.len() >= state.room && state.receivers > 0;
        let mut state = self.0.wait_while(timeout, full);
        if state.receivers == 0 {
            return Err(SendTimeoutError::Disconnected(item));
        }
        if full(&mut state) {
            return Err(SendTimeoutError::Timeout(item));
        }
        state.items.push_back(item);
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.lock().items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Receiver<T> {
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_timeout(Duration::MAX).map_err(|_| RecvError)
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            })
    }

    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let empty = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
        let mut state = self.0.wait_while(timeout, empty);
        let nothing = match state.senders {
            0 => RecvTimeoutError::Disconnected,
            _ => RecvTimeoutError::Timeout,
        };
        let item = state.items.pop_front().ok_or(nothing)?;
        drop(state);
        self.0.changed.notify_all();
        Ok(item)
    }

    pub fn len(&self) -> usize {
        self.0.lock().items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.change(|state| state.senders += 1);
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.0.change(|state| state.receivers += 1);
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.senders -= 1);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Like the real channel, drop the items with the last receiver.
        self.0.change(|state| {
            state.receivers -= 1;
            if state.receivers == 0 {
                state.items.clear();
            }
        });
    }
}
