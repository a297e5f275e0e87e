//! What an `EventLoop` calls, and the handle that cancels it. The loop is `runtime.rs`.
//!
//! Python:  `asyncio.Handle`, `asyncio.TimerHandle`
//! Differs: `cancel` says whether it came in time, and drops the function at once; a timer leaves the loop with it. A
//!          handle of a function that was called is not marked as cancelled by a `cancel` that comes too late.
//! Cost:    a function and its handle share one allocation; no atomic operation.
//! Needs:   runtime.rs, remote.rs, task.rs
//!
//! ```cargo
//! [dependencies]
//! ```

use std::any::type_name;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use crate::runtime::EventLoop;

/// What the queue holds: a function, or a task.
pub trait Callback {
    fn call(&self, event_loop: &EventLoop);
    /// Drops the function or future; `false` if there is none left.
    fn cancel(&self, event_loop: &EventLoop) -> bool;
    fn name(&self) -> &'static str;
    /// Whether it is to be queued, as it is not there already.
    fn enqueue(&self) -> bool {
        true
    }
}

impl<F: FnOnce(&EventLoop)> Callback for Cell<Option<F>> {
    fn call(&self, event_loop: &EventLoop) {
        if let Some(function) = self.take() {
            function(event_loop);
        }
    }

    fn cancel(&self, _: &EventLoop) -> bool {
        self.take().is_some()
    }

    fn name(&self) -> &'static str {
        type_name::<F>()
    }
}

/// When a timer is due, and a number that keeps timers of the same time apart, and in order.
pub type TimerKey = (Instant, u64);

/// A callback that waits. Dropping the handle changes nothing.
pub struct Handle {
    event_loop: EventLoop,
    pub callback: Rc<dyn Callback>,
    timer: Option<TimerKey>,
    cancelled: Cell<bool>,
}

impl Handle {
    pub fn new<F>(event_loop: &EventLoop, f: F, timer: Option<TimerKey>) -> Handle
    where
        F: FnOnce(&EventLoop) + 'static,
    {
        Handle {
            event_loop: event_loop.clone(),
            callback: Rc::new(Cell::new(Some(f))),
            timer,
            cancelled: Cell::new(false),
        }
    }

    /// Drops the function, which will never be called. `false` if it was called, or cancelled, before.
    pub fn cancel(&self) -> bool {
        if let Some(key) = &self.timer {
            self.event_loop.timers().remove(key);
        }
        let in_time = self.callback.cancel(&self.event_loop);
        self.cancelled.set(self.cancelled.get() || in_time);
        in_time
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.get()
    }
}
