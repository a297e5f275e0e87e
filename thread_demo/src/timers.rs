//! Call a function after a delay, once or periodically, unless it is cancelled.
//!
//! Python:  `threading.Timer`
//! Differs: a timer is started when it is created, so it cannot be started twice. `cancel` returns whether it came in time, and
//!          dropping the timer cancels it. A periodic timer is one timer; Python needs a new one for each call.
//!
//! ```cargo
//! [dependencies]
//! parking_lot = "0.13"
//! ```

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use parking_lot::{Condvar, Mutex};

/// A thread that waits, and then calls a function.
///
/// Each timer has a thread, as with Python, which sleeps until the time is over or the timer is cancelled. With an interval
/// of zero it calls the function at once, and with [`Duration::MAX`] never.
///
/// The function is not called after [`Timer::cancel`] has returned `true`. Dropping the timer cancels it, and does not wait
/// for a call that has begun. The end of `main` ends the program with all its timers: join those that must finish.
#[derive(Debug)]
#[must_use = "a timer that is dropped is cancelled"]
pub struct Timer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    cancelled: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The function will be called when the time is over.
    Waiting,
    /// The function is being called, or was called for the last time.
    Called,
    Cancelled,
}

impl Timer {
    /// Starts a timer that calls the function once; Python's `Timer(interval, function)` and `start()`.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses a thread.
    pub fn once(interval: Duration, function: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
        Timer::start(move |shared| {
            if shared.due(interval) {
                function();
            }
        })
    }

    /// Starts a timer that calls the function until it breaks, each time an interval after the call before has returned.
    ///
    /// So calls never overlap, and never queue up.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses a thread.
    pub fn periodic(
        interval: Duration,
        mut function: impl FnMut() -> ControlFlow<()> + Send + 'static,
    ) -> io::Result<Timer> {
        Timer::start(
            move |shared| {
                while shared.due(interval) && function().is_continue() && shared.again() {}
            },
        )
    }

    fn start(run: impl FnOnce(&Shared) + Send + 'static) -> io::Result<Timer> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Waiting),
            cancelled: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || run(&of_thread))?;
        Ok(Timer {
            shared,
            thread: Some(thread),
        })
    }

    /// Prevents further calls, and returns immediately. The function itself may call this, and any other thread.
    ///
    /// Returns `true` if it prevented a call, and `false` if it came too late: the function is being called, or was called for
    /// the last time. A periodic timer ends in both cases.
    pub fn cancel(&self) -> bool {
        let before = mem::replace(&mut *self.shared.state.lock(), State::Cancelled);
        self.shared.cancelled.notify_one();
        before == State::Waiting
    }

    /// Blocks until the last call has returned, or the timer is cancelled; Python's `join()`.
    ///
    /// # Errors
    ///
    /// The payload of the function's panic.
    pub fn join(mut self) -> thread::Result<()> {
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Shared {
    /// Waits for the interval. Returns `true` if a call is due; from then on it cannot be cancelled.
    fn due(&self, interval: Duration) -> bool {
        let waiting = |state: &mut State| *state == State::Waiting;
        let mut state = self.state.lock();
        self.cancelled.wait_while_for(&mut state, waiting, interval);
        let due = waiting(&mut state);
        if due {
            *state = State::Called;
        }
        due
    }

    /// Returns `true` after a call if the timer was not cancelled meanwhile.
    fn again(&self) -> bool {
        let mut state = self.state.lock();
        let again = *state == State::Called;
        if again {
            *state = State::Waiting;
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use std::panic;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn fires_once_and_not_before_its_time() {
        let (sender, calls) = mpsc::channel();
        let begun = Instant::now();
        let timer = Timer::once(SHORT, move || sender.send(begun.elapsed()).unwrap()).unwrap();
        assert!(calls.recv().unwrap() >= SHORT);
        assert!(calls.recv().is_err(), "called twice");
        assert!(!timer.cancel(), "cancelled after the call");
        timer.join().unwrap();
    }

    #[test]
    fn cancel_and_drop_wake_the_thread_at_once() {
        for cancel in [true, false] {
            let (sender, calls) = mpsc::channel();
            let timer = Timer::once(Duration::MAX, move || sender.send(()).unwrap()).unwrap();
            if cancel {
                assert!(timer.cancel());
                assert!(!timer.cancel(), "cancelled twice");
                timer.join().unwrap();
            } else {
                drop(timer);
            }
            assert!(calls.recv().is_err(), "a cancelled timer has fired");
        }
    }

    /// At the moment when the time has come, exactly one of the two wins.
    #[test]
    fn either_called_or_cancelled() {
        for round in 0..2000 {
            let called = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&called);
            let interval = Duration::from_micros(round % 200);
            let timer = Timer::once(interval, move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
            thread::sleep(Duration::from_micros(100));
            let cancelled = timer.cancel();
            timer.join().unwrap();
            assert_eq!(called.load(Ordering::Relaxed), u32::from(!cancelled));
        }
    }

    #[test]
    fn a_periodic_timer_ends_when_its_function_breaks() {
        let (sender, calls) = mpsc::channel();
        let mut left = 3;
        let timer = Timer::periodic(Duration::ZERO, move || {
            sender.send(()).unwrap();
            left -= 1;
            if left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        timer.unwrap().join().unwrap();
        assert_eq!(calls.iter().count(), 3);
    }

    #[test]
    fn a_periodic_timer_ends_when_it_is_cancelled_in_a_call() {
        let (begun, in_call) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let timer = Timer::periodic(Duration::ZERO, move || {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
        in_call.recv().unwrap();
        assert!(!timer.cancel(), "the call has begun");
        go_on.send(()).unwrap();
        timer.join().unwrap();
        assert!(in_call.recv().is_err(), "called after the cancel");
    }

    #[test]
    fn a_panic_comes_out_of_join() {
        let panics = || panic::resume_unwind(Box::new("failed"));
        let timer = Timer::once(Duration::ZERO, panics).unwrap();
        let payload = timer.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"failed"));
    }
}
