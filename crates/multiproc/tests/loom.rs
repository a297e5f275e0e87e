//! `Event` under [loom](https://docs.rs/loom), which tries every interleaving of its atomic operations. Consumers get every
//! item of a queue, or loom finds a deadlock.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p multiproc --test loom --release --target-dir target/loom`

#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use multiproc::event::Event;

/// As in a ring, producers and consumers have one lock each and read each other's counts.
#[derive(Default)]
struct Queue {
    put_lock: Mutex<()>,
    get_lock: Mutex<()>,
    put: AtomicU32,
    got: AtomicU32,
    was_put: Event,
}

impl Queue {
    fn put(&self) {
        self.put_some(1);
    }

    fn put_some(&self, count: u32) {
        let guard = self.put_lock.lock().unwrap();
        let put = self.put.load(Ordering::Relaxed);
        self.put.store(put + count, Ordering::Release);
        drop(guard);
        self.was_put.happened(count);
    }

    fn get(&self) {
        loop {
            let guard = self.get_lock.lock().unwrap();
            let got = self.got.load(Ordering::Relaxed);
            let some = || self.put.load(Ordering::Acquire) != got;
            if some() {
                return self.got.store(got + 1, Ordering::Release);
            }
            let count = self.was_put.sleeper();
            if !some() {
                drop(guard);
                self.was_put.sleep(count, None).unwrap();
            }
            self.was_put.awake();
        }
    }
}

/// Tries all interleavings with at most `switches` preemptions. Loom's authors recommend two or three. Two were enough to
/// find every lost wake-up in earlier versions of `Event`.
fn model(switches: usize, test: impl Fn(Arc<Queue>) + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(move || test(Arc::default()));
}

fn spawn(queue: &Arc<Queue>, work: fn(&Queue)) -> thread::JoinHandle<()> {
    let queue = Arc::clone(queue);
    thread::spawn(move || work(&queue))
}

#[test]
fn one_item_wakes_one() {
    model(3, |queue| {
        let consumer = spawn(&queue, Queue::get);
        queue.put();
        consumer.join().unwrap();
        assert_eq!(queue.got.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_consumers_get_what_two_producers_put() {
    model(2, |queue| {
        let others = [
            spawn(&queue, Queue::get),
            spawn(&queue, Queue::put),
            spawn(&queue, Queue::get),
        ];
        queue.put();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn two_at_once_wake_two() {
    model(3, |queue| {
        let others = [spawn(&queue, Queue::get), spawn(&queue, Queue::get)];
        queue.put_some(2);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn a_consumer_that_sleeps_again_is_woken_again() {
    model(3, |queue| {
        let consumer = spawn(&queue, |queue| (0..2).for_each(|_| queue.get()));
        queue.put();
        queue.put();
        consumer.join().unwrap();
    });
}

/// A process that was killed in its sleep stays counted as a sleeper, but the kernel no longer knows it.
#[test]
fn the_killed_do_not_hide_the_living() {
    model(3, |queue| {
        queue.was_put.sleeper();
        let others = [spawn(&queue, Queue::get), spawn(&queue, Queue::get)];
        queue.put();
        queue.put();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// As `join` uses it: no lock, and all sleepers wait for the same event.
#[test]
fn all_are_woken() {
    model(3, |queue| {
        let wait = |queue: &Queue| {
            let ready = || queue.put.load(Ordering::Acquire) == 1;
            while !ready() {
                let count = queue.was_put.sleeper();
                if !ready() {
                    queue.was_put.sleep(count, None).unwrap();
                }
                queue.was_put.awake();
            }
        };
        let others = [spawn(&queue, wait), spawn(&queue, wait)];
        queue.put.store(1, Ordering::Release);
        queue.was_put.happened(u32::MAX);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}
