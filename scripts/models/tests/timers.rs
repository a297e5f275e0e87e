//! A timer that may fire at any moment, and may be cancelled at any moment.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use models::timers::Timer;

const SOME_TIME: Duration = Duration::from_secs(1);

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

/// A timer, and the number of calls of its function.
fn once(interval: Duration) -> (Timer, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let function = move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    (Timer::once(interval, function).unwrap(), calls)
}

#[test]
fn it_fires_once() {
    model(|| {
        let (timer, calls) = once(SOME_TIME);
        timer.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_cancel_wakes_it() {
    model(|| {
        let (timer, calls) = once(Duration::MAX);
        assert!(timer.cancel());
        timer.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn it_is_either_called_or_cancelled() {
    model(|| {
        let (timer, calls) = once(SOME_TIME);
        let cancelled = timer.cancel();
        timer.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), u32::from(!cancelled));
    });
}

#[test]
fn of_two_cancels_at_most_one_is_in_time() {
    model(|| {
        let (timer, calls) = once(SOME_TIME);
        let timer = Arc::new(timer);
        let other = thread::spawn({
            let timer = Arc::clone(&timer);
            move || timer.cancel()
        });
        let in_time = u32::from(timer.cancel()) + u32::from(other.join().unwrap());
        Arc::try_unwrap(timer).unwrap().join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed) + in_time, 1);
    });
}

#[test]
fn a_periodic_timer_is_not_called_after_a_cancel() {
    model(|| {
        let calls = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&calls);
        let timer = Timer::periodic(Duration::ZERO, move || {
            match count.fetch_add(1, Ordering::AcqRel) {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        let timer = timer.unwrap();
        let waited = timer.cancel();
        let seen = calls.load(Ordering::Acquire);
        timer.join().unwrap();
        // Only the call that began before the cancel may count after it.
        let begun = u32::from(!waited && seen < 2);
        assert!(calls.load(Ordering::Acquire) <= seen + begun);
    });
}
