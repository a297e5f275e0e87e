//! The public API of the queues, between threads. `killed.rs` tests them between processes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use multiproc::{JoinableQueue, Queue, QueueError, SimpleQueue};

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn items_come_in_order() {
    let queue = Queue::new().unwrap();
    assert!(queue.is_empty());
    for word in ["a", "", "c"] {
        queue.put(&word.to_owned()).unwrap();
    }
    assert!(!queue.is_empty());
    let words = [(); 3].map(|()| queue.get().unwrap());
    assert_eq!(words, ["a", "", "c"]);
}

#[test]
fn a_simple_queue_is_put_to_got_from_and_asked() {
    let queue = SimpleQueue::new().unwrap();
    assert!(queue.empty());
    queue.put(&"a".to_owned()).unwrap();
    let same = queue.clone();
    assert!(!same.empty());
    assert_eq!(same.get().unwrap(), "a");
    assert!(queue.empty());
}

#[test]
fn closed_queues_are_read_to_the_end() {
    for queue in [Queue::new().unwrap(), Queue::bounded(3).unwrap()] {
        queue.put(&1).unwrap();
        queue.close().unwrap();
        assert!(matches!(queue.put(&2), Err(QueueError::Closed)));
        assert_eq!(queue.get().unwrap(), 1);
        assert!(matches!(queue.get(), Err(QueueError::Closed)));
    }
    let queue = Queue::<u32>::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(queue.get(), Err(QueueError::Closed))));
        thread::sleep(MOMENT);
        queue.close().unwrap();
    });
}

#[test]
fn limits_and_timeouts() {
    let queue = Queue::bounded(2).unwrap();
    queue.try_put(&1).unwrap();
    queue.try_put(&2).unwrap();
    assert_eq!(queue.len(), 2);
    assert!(matches!(queue.try_put(&3), Err(QueueError::Full)));
    let start = Instant::now();
    let put = queue.put_timeout(&3, MOMENT);
    assert!(matches!(put, Err(QueueError::Full)));
    assert!(start.elapsed() >= MOMENT);
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
    assert!(matches!(queue.try_get(), Err(QueueError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(MOMENT), Err(QueueError::Empty)));
    assert!(start.elapsed() >= MOMENT);
    assert_eq!(queue.len(), 0);
    queue.put_timeout(&4, Duration::MAX).unwrap();
    assert_eq!(queue.get_timeout(Duration::MAX).unwrap(), 4);
}

#[test]
fn every_size_arrives_whole() {
    let queue = Queue::<String>::new().unwrap();
    for size in [1, 63, 64, 65, 4096, 65_535, 65_536, 1 << 20, 64 << 20] {
        let item = "0123456789abcdefghijklmnopq".repeat(size / 27 + 1)[..size].to_owned();
        queue.put(&item).unwrap();
        assert!(queue.get().unwrap() == item, "{size}");
    }
}

#[test]
fn each_item_is_delivered_once() {
    let queue = Queue::<(u32, u32)>::new().unwrap();
    let got = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        let producers: Vec<_> = (0..4)
            .map(|p| {
                let queue = &queue;
                scope.spawn(move || (0..2000).for_each(|n| queue.put(&(p, n)).unwrap()))
            })
            .collect();
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = [None; 4];
                while let Ok((producer, n)) = queue.get() {
                    // A consumer gets the items of one producer in order.
                    assert!(last[producer as usize].replace(n) < Some(n));
                    assert!(got.lock().unwrap().insert((producer, n)));
                }
            });
        }
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        queue.close().unwrap();
    });
    assert_eq!(got.lock().unwrap().len(), 8000);
}

#[test]
fn join_waits_for_the_last_task() {
    let queue = JoinableQueue::new(0).unwrap();
    (0..10).for_each(|n| queue.put(&n).unwrap());
    let start = Instant::now();
    assert!(!queue.join_timeout(MOMENT).unwrap());
    assert!(start.elapsed() >= MOMENT);
    let done = Mutex::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while queue.get().is_ok() {
                thread::sleep(Duration::from_millis(1));
                *done.lock().unwrap() += 1;
                queue.task_done().unwrap();
            }
        });
        assert!(queue.join_timeout(Duration::MAX).unwrap());
        assert_eq!(*done.lock().unwrap(), 10);
        let more = queue.task_done();
        assert!(matches!(more, Err(QueueError::TooManyTasksDone)));
        queue.close().unwrap();
    });
    queue.join().unwrap();
    assert!(queue.join_timeout(Duration::ZERO).unwrap());
}

/// If a consumer finishes a later item first, `task_done` for an earlier one must not fail.
#[test]
fn tasks_are_counted_while_more_are_put() {
    let queue = JoinableQueue::new(2).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while queue.get().is_ok() {
                    queue.task_done().unwrap();
                }
            });
        }
        (0..20_000).for_each(|n| queue.put(&n).unwrap());
        queue.join().unwrap();
        queue.close().unwrap();
    });
}

#[test]
fn a_blocked_put_goes_on_when_there_is_room() {
    let queue = Queue::bounded(1).unwrap();
    let big = vec![7_u8; 1 << 20];
    queue.put(&big).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| queue.put(&big).unwrap());
        thread::sleep(MOMENT);
        assert!(queue.get().unwrap() == big);
        assert!(queue.get().unwrap() == big);
    });
}

#[test]
fn closing_wakes_a_producer_that_waits_for_room() {
    for queue in [Queue::new().unwrap(), Queue::bounded(9).unwrap()] {
        let item = vec![7_u8; 10_000];
        while queue.try_put(&item).is_ok() {}
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(queue.put(&item), Err(QueueError::Closed))));
            thread::sleep(MOMENT);
            queue.close().unwrap();
        });
    }
}

/// Puts more than the queue holds, so that it wraps repeatedly, with large items between small ones.
#[test]
fn a_full_queue_stays_in_order() {
    let queue = Queue::<(u32, String)>::bounded(20).unwrap();
    let size = |n: u32| (n as usize * 79_199) % (12 << 20) / (1 + n as usize % 3 * 50);
    let letter = |n: u32| char::from(b'a' + (n % 26) as u8);
    let item = move |n| (n, letter(n).to_string().repeat(size(n)));
    thread::scope(|scope| {
        scope.spawn(|| (0..240).for_each(|n| queue.put(&item(n)).unwrap()));
        for n in 0..240 {
            assert!(queue.get().unwrap() == item(n), "{n}");
        }
    });
}

#[test]
fn a_queue_is_not_an_item() {
    let queues = Queue::new().unwrap();
    let error = queues.put(&Queue::<u8>::new().unwrap()).unwrap_err();
    assert!(error.to_string().contains("only as an argument"), "{error}");
    assert!(queues.is_empty());
}

#[test]
fn the_errors_say_what_happened() {
    let texts = [
        (QueueError::Full, "the queue is full"),
        (QueueError::Empty, "the queue is empty"),
        (QueueError::Closed, "the queue is closed"),
        (
            QueueError::TooManyTasksDone,
            "task_done() called too many times",
        ),
        (
            std::io::Error::other("no memory").into(),
            "the queue: no memory",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
    let queue = Queue::new().unwrap();
    let error = queue.put(&Unwritable).unwrap_err().to_string();
    assert!(
        error.starts_with("the queue's item: cannot write a "),
        "{error}"
    );
}

#[derive(Debug, serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}
