//! Let tasks wait for an event, which can be set, cleared and set again.
//!
//! Python:  `asyncio.Event`
//! Differs: the tasks may run on several threads. As in Python, `set` wakes every waiting task, even if the event is
//!          cleared before the task runs. tokio's `Notify::notify_waiters` alone has no flag, and its `watch` alone would lose
//!          such a set.
//!
//! For an event that is never cleared use tokio-util's `CancellationToken`, and for one with a single waiter a `oneshot`.
//!
//! ```cargo
//! [dependencies]
//! tokio = { version = "1", features = ["sync"] }
//! ```

use tokio::sync::watch;

/// A flag that tasks wait for, and share by reference or in an `Arc`. A new event is not set.
///
/// [`Event::set`] wakes all waiters, in any order. Cancelling a `wait` changes nothing.
///
/// An event is one allocation. Each method takes a lock for a moment, `wait` twice.
#[derive(Debug, Default)]
pub struct Event(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    set: bool,
    /// The number of sets, for waiters that find the event cleared again.
    sets: u64,
}

impl Event {
    /// Creates an event that is not set.
    pub fn new() -> Event {
        Event::default()
    }

    /// Sets the event and wakes all waiters. Does nothing if it is set already.
    pub fn set(&self) {
        self.0.send_if_modified(|state| {
            let changed = !state.set;
            state.sets += u64::from(changed);
            state.set = true;
            changed
        });
    }

    /// Clears the event, so that `wait` blocks until the next [`Event::set`].
    pub fn clear(&self) {
        self.0.send_if_modified(|state| {
            state.set = false;
            false // No need to notify: nothing waits for an event to be cleared.
        });
    }

    /// Returns `true` if the event is set.
    pub fn is_set(&self) -> bool {
        self.0.borrow().set
    }

    /// Waits until the event is set; returns immediately if it is.
    ///
    /// The wait begins with the first poll.
    pub async fn wait(&self) {
        let mut state = self.0.subscribe();
        let sets = state.borrow().sets;
        // `wait_for` fails only after the sender is dropped, and `self` owns it.
        drop(
            state
                .wait_for(|state| state.set || state.sets != sets)
                .await,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use tokio::sync::Barrier;
    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn set_clear_set() {
        let event = Event::new();
        assert!(!event.is_set());
        let mut wait = pin!(event.wait());
        assert!(poll(wait.as_mut()).is_pending());
        event.clear();
        assert!(poll(wait.as_mut()).is_pending());
        event.set();
        event.set();
        assert!(event.is_set());
        assert!(poll(wait.as_mut()).is_ready());
        assert!(poll(pin!(event.wait())).is_ready());
        event.clear();
        assert!(!event.is_set());
        assert!(poll(pin!(event.wait())).is_pending());
    }

    #[test]
    fn who_waited_goes_on_though_it_is_cleared_at_once() {
        let event = Event::new();
        let (mut before, mut late) = (pin!(event.wait()), pin!(event.wait()));
        assert!(poll(before.as_mut()).is_pending());
        event.set();
        event.clear();
        assert!(poll(late.as_mut()).is_pending());
        assert!(poll(before.as_mut()).is_ready());
        event.set();
        event.clear();
        event.set();
        event.clear();
        assert!(poll(late.as_mut()).is_ready());
    }

    #[test]
    fn a_dropped_wait_changes_nothing() {
        let event = Event::new();
        for set in [false, true] {
            event.clear();
            let (mut dropped, mut other) = (Box::pin(event.wait()), pin!(event.wait()));
            assert!(poll(dropped.as_mut()).is_pending());
            assert!(poll(other.as_mut()).is_pending());
            if set {
                event.set();
                drop(dropped);
            } else {
                drop(dropped);
                event.set();
            }
            assert!(poll(other.as_mut()).is_ready());
            assert!(event.is_set());
        }
    }

    /// Every set reaches all thousand tasks, although it is cleared at once; a third of them is cancelled meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thousand_tasks() {
        let event = Arc::new(Event::new());
        let begun = Arc::new(Barrier::new(1001));
        let mut tasks = JoinSet::new();
        let mut cancel = vec![];
        for n in 0..1000 {
            let (event, begun) = (Arc::clone(&event), Arc::clone(&begun));
            let handle = tasks.spawn(async move {
                for round in 0..3 {
                    let mut wait = pin!(event.wait());
                    if round == 0 {
                        assert!(poll(wait.as_mut()).is_pending());
                        begun.wait().await;
                    }
                    wait.await;
                }
            });
            cancel.extend((n % 3 == 0).then_some(handle));
        }
        begun.wait().await;
        cancel.into_iter().for_each(|handle| handle.abort());
        let (mut ended, mut cancelled) = (0, 0);
        while ended + cancelled < 1000 {
            event.set();
            event.clear();
            yield_now().await;
            while let Some(result) = tasks.try_join_next() {
                match result {
                    Ok(()) => ended += 1,
                    Err(error) if error.is_cancelled() => cancelled += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(ended >= 666);
    }
}
