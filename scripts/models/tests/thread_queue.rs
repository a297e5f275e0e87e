//! Producers and consumers on a queue: `join` returns when all items are done, and fails if an item never will be. Every
//! thread ends; otherwise loom finds a deadlock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use models::thread_queue::{Consumer, Producer, PutError, Unfinished, queue};

const SOME_TIME: Duration = Duration::from_secs(1);

fn model(
    switches: usize,
    maxsize: usize,
    test: impl Fn(Producer<u32>, Consumer<u32>) + Sync + Send + 'static,
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(move || {
        let (producer, consumer) = queue(maxsize);
        test(producer, consumer);
    });
}

#[test]
fn join_returns_after_the_last_is_done() {
    model(3, 0, |producer, consumer| {
        let done = Arc::new(AtomicUsize::new(0));
        producer.put(1).unwrap();
        producer.put(2).unwrap();
        let consumers = [consumer.clone(), consumer].map(|consumer| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                consumer.get().unwrap();
                // This happens-before the return of `join`.
                done.fetch_add(1, Ordering::Relaxed);
                consumer.task_done().unwrap();
                assert!(consumer.task_done().is_err());
            })
        });
        assert_eq!(producer.join(), Ok(()));
        assert_eq!(done.load(Ordering::Relaxed), 2);
        consumers
            .into_iter()
            .for_each(|consumer| consumer.join().unwrap());
    });
}

#[test]
fn a_consumer_that_ends_with_an_item_in_its_hands_is_told() {
    model(3, 0, |producer, consumer| {
        producer.put(1).unwrap();
        producer.put(2).unwrap();
        let careless = consumer.clone();
        let careless = thread::spawn(move || careless.get().unwrap());
        let careful = thread::spawn(move || {
            consumer.get().unwrap();
            consumer.task_done().unwrap();
        });
        assert_eq!(producer.join(), Err(Unfinished));
        careless.join().unwrap();
        careful.join().unwrap();
    });
}

#[test]
fn without_consumers_nobody_waits_for_ever() {
    model(3, 1, |producer, consumer| {
        producer.put(1).unwrap();
        let other = producer.clone();
        let blocked = thread::spawn(move || other.put(2));
        let leaver = thread::spawn(move || drop(consumer));
        assert_eq!(producer.join(), Err(Unfinished));
        assert_eq!(blocked.join().unwrap(), Err(PutError::Closed(2)));
        leaver.join().unwrap();
    });
}

/// A refused item does not count: `join` does not wait for it, and is woken although it was refused.
#[test]
fn what_is_refused_is_not_waited_for() {
    model(3, 1, |producer, consumer| {
        producer.put(1).unwrap();
        let other = producer.clone();
        let refused = thread::spawn(move || other.try_put(2));
        let consumer = thread::spawn(move || {
            while consumer.get().is_ok() {
                consumer.task_done().unwrap();
            }
        });
        assert_eq!(producer.join(), Ok(()));
        drop(producer);
        refused.join().unwrap().unwrap_or_default();
        consumer.join().unwrap();
    });
}

#[test]
fn a_timeout_loses_no_item() {
    model(2, 1, |producer, consumer| {
        let other = producer.clone();
        let hurried = thread::spawn(move || other.put_timeout(2, SOME_TIME).is_ok());
        let consumer = thread::spawn(move || {
            let mut got = 0;
            while consumer.get().is_ok() {
                got += 1;
            }
            got
        });
        producer.put(1).unwrap();
        drop(producer);
        let put = 1 + u32::from(hurried.join().unwrap());
        assert_eq!(consumer.join().unwrap(), put);
    });
}

/// The other consumer waits for more items, so only the loss can wake `join`.
#[test]
fn a_loss_ends_join_though_others_go_on() {
    model(2, 0, |producer, consumer| {
        producer.put(1).unwrap();
        let careless = consumer.clone();
        let careless = thread::spawn(move || careless.get().unwrap());
        let other = producer.clone();
        let patient = thread::spawn(move || {
            assert_eq!(producer.join(), Err(Unfinished));
            drop(producer);
        });
        careless.join().unwrap();
        patient.join().unwrap();
        drop(other);
        assert!(consumer.get().is_err());
    });
}
