//! A queue of items on one `Event`, as the queues use it: every item is got, or loom finds a deadlock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loom::sync::{Arc, Mutex};
use loom::thread;
use models::event::Event;

#[derive(Default)]
struct Queue {
    items: Mutex<u32>,
    put: Event,
}

impl Queue {
    fn put(&self) {
        let mut items = self.items.lock().unwrap();
        *items += 1;
        let wake = self.put.happened(false);
        drop(items);
        self.put.wake(wake);
    }

    /// Puts two at once, as `put_some` does.
    fn put_two(&self) {
        let mut items = self.items.lock().unwrap();
        *items += 2;
        let wake = self.put.happened(false) + self.put.happened(false);
        drop(items);
        self.put.wake(wake);
    }

    fn get(&self) {
        let mut items = self.items.lock().unwrap();
        while *items == 0 {
            let seen = self.put.sleeper();
            drop(items);
            self.put.sleep(seen, Duration::MAX).unwrap();
            items = self.items.lock().unwrap();
            self.put.awake();
        }
        *items -= 1;
    }
}

/// All interleavings with up to three switches where a thread could have gone on: loom's usual bound for more than two
/// threads, and one that has found every lost wake-up that was put in to try it.
fn model(test: impl Fn(Arc<Queue>) + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || test(Arc::default()));
}

fn spawn(queue: &Arc<Queue>, work: fn(&Queue)) -> thread::JoinHandle<()> {
    let queue = Arc::clone(queue);
    thread::spawn(move || work(&queue))
}

#[test]
fn one_item_wakes_one() {
    model(|queue| {
        let consumer = spawn(&queue, Queue::get);
        queue.put();
        consumer.join().unwrap();
        assert_eq!(*queue.items.lock().unwrap(), 0);
    });
}

#[test]
fn two_consumers_get_what_two_producers_put() {
    model(|queue| {
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
    model(|queue| {
        let others = [spawn(&queue, Queue::get), spawn(&queue, Queue::get)];
        queue.put_two();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn a_consumer_that_sleeps_again_is_woken_again() {
    model(|queue| {
        let consumer = spawn(&queue, |queue| (0..2).for_each(|_| queue.get()));
        queue.put();
        queue.put();
        consumer.join().unwrap();
    });
}

/// Whoever was killed asleep has counted itself and never takes that back; the kernel has forgotten it.
#[test]
fn the_killed_do_not_hide_the_living() {
    model(|queue| {
        queue.put.sleeper();
        let others = [spawn(&queue, Queue::get), spawn(&queue, Queue::get)];
        queue.put();
        queue.put();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn closing_wakes_all() {
    model(|queue| {
        let wait = |queue: &Queue| {
            let items = queue.items.lock().unwrap();
            if *items == 0 {
                let seen = queue.put.sleeper();
                drop(items);
                queue.put.sleep(seen, Duration::MAX).unwrap();
                let items = queue.items.lock().unwrap();
                queue.put.awake();
                assert_eq!(*items, 1);
            }
        };
        let others = [spawn(&queue, wait), spawn(&queue, wait)];
        let mut items = queue.items.lock().unwrap();
        *items = 1;
        let wake = queue.put.happened(true);
        drop(items);
        queue.put.wake(wake);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}
