//! What other threads may do to an `EventLoop`: send it functions, which wakes it. The loop is `runtime.rs`.
//!
//! Python:  `loop.call_soon_threadsafe`, `asyncio.get_running_loop`
//! Differs: the loop itself cannot leave its thread, so that nothing else of it needs a lock.
//! Blocks:  nothing. The loop sleeps in `recv` of a channel, and a send ends that sleep.
//! Order:   what one thread sends comes in the order in which it was sent.
//! Errors:  a closed loop refuses what is sent, and what has been sent and not yet been called is dropped by `close`.
//! Cost:    two allocations, and a wake-up (futex) if the loop sleeps.
//! Needs:   runtime.rs, handle.rs, task.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::runtime::{EventLoop, LoopError, Result};

pub type Message = Box<dyn FnOnce(&EventLoop) + Send>;

/// The part of a loop that other threads may use.
#[derive(Clone)]
pub struct Remote {
    sender: Sender<Message>,
    has_mail: Arc<AtomicBool>,
}

impl Remote {
    pub fn new() -> (Remote, Receiver<Message>) {
        let (sender, mail) = channel();
        let has_mail = Arc::default();
        (Remote { sender, has_mail }, mail)
    }

    /// Whether something may have come: all that the loop looks at as long as nothing does.
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Relaxed)
    }

    /// What has come; at most so much at once that a flood does not hold up the loop.
    pub fn receive(&self, mail: &Receiver<Message>) -> Vec<Message> {
        const MOST: usize = 1024;
        // A swap, so that nothing is missed that is sent meanwhile: either it sees that flag, and then the message
        // too, or the flag is set after it, and stays.
        self.has_mail.swap(false, Ordering::Acquire);
        let messages: Vec<_> = mail.try_iter().take(MOST).collect();
        if messages.len() == MOST {
            self.has_mail.store(true, Ordering::Relaxed);
        }
        messages
    }

    /// `call_soon` for any thread; wakes the loop if it sleeps.
    pub fn call_soon_threadsafe<F: FnOnce(&EventLoop) + Send + 'static>(&self, f: F) -> Result<()> {
        // It cannot be refused: a loop that takes messages is open.
        self.send(|event_loop| drop(event_loop.call_soon(f)))
    }

    /// Has the loop do this at the beginning of its next round.
    pub fn send(&self, message: impl FnOnce(&EventLoop) + Send + 'static) -> Result<()> {
        let sent = self.sender.send(Box::new(message));
        self.has_mail.store(true, Ordering::Release);
        sent.map_err(|_| LoopError::Closed)
    }

    /// Does this at once, if the loop runs and this is its thread.
    pub fn here<R>(&self, f: impl FnOnce(&EventLoop) -> R) -> Option<R> {
        let of_loop =
            |current: &&EventLoop| Arc::ptr_eq(&current.remote().has_mail, &self.has_mail);
        let call = |current: &RefCell<Option<EventLoop>>| {
            let current = current.borrow();
            current.as_ref().filter(of_loop).map(f)
        };
        CURRENT.try_with(call).ok().flatten()
    }
}

thread_local! {
    /// The loop that this thread runs.
    static CURRENT: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

/// As long as it exists, the thread runs this loop and no other.
pub struct Running;

impl Running {
    pub fn begin(event_loop: &EventLoop) -> Result<Running> {
        event_loop.check_open()?;
        if CURRENT.with_borrow(Option::is_some) {
            return Err(LoopError::AlreadyRunning);
        }
        CURRENT.set(Some(event_loop.clone()));
        Ok(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.take();
    }
}
