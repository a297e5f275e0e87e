//! Producers and consumers on a queue: every item is got once, everybody comes to an end, or loom finds a deadlock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use models::thread_queue::{GetError, PutError, Queue};

const SOME_TIME: Duration = Duration::from_secs(1);

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

#[test]
fn two_consumers_get_what_two_producers_put_through_one_place() {
    model(2, 1, |queue| {
        let producer = spawn(&queue, |queue| queue.put(1).unwrap());
        let consumers = [
            spawn(&queue, |queue| queue.get().unwrap()),
            spawn(&queue, |queue| queue.get().unwrap()),
        ];
        queue.put(2).unwrap();
        let got = consumers.map(|consumer| consumer.join().unwrap());
        assert_eq!(got.iter().sum::<u32>(), 3);
        producer.join().unwrap();
    });
}

#[test]
fn close_wakes_who_waits_for_room() {
    model(3, 1, |queue| {
        queue.put(1).unwrap();
        let producers = [2, 3].map(|item| spawn(&queue, move |queue| queue.put(item)));
        queue.close();
        let refused = producers.map(|producer| producer.join().unwrap());
        assert_eq!(
            refused,
            [Err(PutError::Closed(2)), Err(PutError::Closed(3))]
        );
        assert_eq!(queue.get(), Ok(1));
        assert_eq!(queue.get(), Err(GetError::Closed));
    });
}

#[test]
fn after_close_what_was_put_is_got() {
    model(2, 1, |queue| {
        let consumer = spawn(&queue, |queue| [queue.get(), queue.get(), queue.get()]);
        let producer = spawn(&queue, |queue| queue.put(1));
        let closer = spawn(&queue, Queue::close);
        let second = queue.put(2);
        let put = [second, producer.join().unwrap()];
        let got = consumer.join().unwrap();
        closer.join().unwrap();
        assert_eq!(
            put.iter().filter(|put| put.is_ok()).count(),
            got.iter().filter(|got| got.is_ok()).count()
        );
        assert_eq!(got[2], Err(GetError::Closed));
    });
}

#[test]
fn join_returns_after_the_last_is_done() {
    model(2, 0, |queue| {
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        let consumers = [(); 2].map(|()| {
            spawn(&queue, |queue| {
                queue.get().unwrap();
                queue.task_done().unwrap();
            })
        });
        queue.join();
        assert!(queue.task_done().is_err());
        consumers
            .into_iter()
            .for_each(|consumer| consumer.join().unwrap());
    });
}

/// A wake-up is not lost on a consumer that gives up at that moment: the other one gets the item.
#[test]
fn a_timeout_takes_no_wake_up_along() {
    model(2, 0, |queue| {
        let hurried = spawn(&queue, |queue| queue.get_timeout(SOME_TIME));
        let patient = spawn(&queue, Queue::get);
        queue.put(1).unwrap();
        if hurried.join().unwrap() == Ok(1) {
            queue.put(2).unwrap();
        }
        patient.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_refused_is_not_there() {
    model(3, 1, |queue| {
        queue.put(1).unwrap();
        let consumer = spawn(&queue, Queue::get);
        match queue.put_timeout(2, SOME_TIME) {
            Ok(()) => assert_eq!(queue.get(), Ok(2)),
            Err(error) => {
                assert_eq!(error, PutError::Full(2));
                consumer.join().unwrap().unwrap();
                assert!(queue.is_empty());
            }
        }
    });
}
