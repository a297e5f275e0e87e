//! Tasks on a queue, each on a thread of its own: every item is got exactly once, even if a future is dropped at any
//! moment, and every task ends; otherwise loom finds a deadlock.

#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use models::async_queue::Queue;

fn model(switches: usize, maxsize: usize, test: impl Fn(Arc<Queue<u32>>) + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(move || test(Arc::new(Queue::new(maxsize))));
}

fn spawn<T: 'static>(
    queue: &Arc<Queue<u32>>,
    work: impl FnOnce(&Queue<u32>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let queue = Arc::clone(queue);
    thread::spawn(move || work(&queue))
}

/// Polls a future twice, and drops it.
fn give_up<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut poll = || {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    };
    poll().or_else(poll)
}

#[test]
fn two_consumers_get_what_two_producers_put_through_one_place() {
    model(2, 1, |queue| {
        let producer = spawn(&queue, |queue| block_on(queue.put(1)));
        let consumer = spawn(&queue, |queue| block_on(queue.get()));
        block_on(queue.put(2));
        let got = block_on(queue.get());
        assert_eq!(got + consumer.join().unwrap(), 3);
        producer.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn a_get_that_is_dropped_takes_neither_item_nor_wake_up_along() {
    model(3, 0, |queue| {
        let dropped = spawn(&queue, |queue| give_up(queue.get()));
        let patient = spawn(&queue, |queue| block_on(queue.get()));
        queue.try_put(1).unwrap();
        if dropped.join().unwrap() == Some(1) {
            queue.try_put(2).unwrap();
        }
        patient.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn a_put_that_is_dropped_has_put_nothing_and_takes_no_room_along() {
    model(3, 1, |queue| {
        queue.try_put(1).unwrap();
        let dropped = spawn(&queue, |queue| give_up(queue.put(2)).is_some());
        let patient = spawn(&queue, |queue| block_on(queue.put(3)));
        let mut got = vec![block_on(queue.get())];
        if dropped.join().unwrap() {
            got.push(block_on(queue.get()));
            assert!(got.contains(&2) || !queue.is_empty());
        }
        patient.join().unwrap();
        got.push(block_on(queue.get()));
        got.sort();
        assert!(got == [1, 3] || got == [1, 2, 3]);
        assert!(queue.is_empty());
    });
}

#[test]
fn join_returns_after_the_last_is_done() {
    model(3, 0, |queue| {
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let consumers = [(); 2].map(|()| {
            spawn(&queue, |queue| {
                block_on(queue.get());
                queue.task_done().unwrap();
            })
        });
        give_up(queue.join());
        block_on(queue.join());
        assert!(queue.task_done().is_err());
        consumers
            .into_iter()
            .for_each(|consumer| consumer.join().unwrap());
    });
}

/// The wake-up for the first item must not end a join that begins after the second item was put.
#[test]
fn join_does_not_return_for_what_was_done_before() {
    model(3, 0, |queue| {
        queue.try_put(1).unwrap();
        let consumer = spawn(&queue, |queue| {
            block_on(queue.get());
            queue.task_done().unwrap();
        });
        block_on(queue.join());
        queue.try_put(2).unwrap();
        assert_eq!(give_up(queue.join()), None);
        consumer.join().unwrap();
    });
}

/// An item is counted before a task can get it, so `task_done` after a `get` never fails.
#[test]
fn what_was_got_can_be_reported_as_done() {
    model(3, 0, |queue| {
        let consumer = spawn(&queue, |queue| {
            block_on(queue.get());
            queue.task_done().unwrap();
        });
        queue.try_put(1).unwrap();
        block_on(queue.join());
        consumer.join().unwrap();
        assert!(queue.task_done().is_err());
    });
}
