//! Producers and consumers are killed at random times, and locks and values are sent to children. The children run this
//! program again, so it has its own `main`.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use multiproc::reduction::Fd;
use multiproc::synchronize::Acquired;
use multiproc::{
    Array, JoinableQueue, Lock, Process, Queue, QueueError, RLock, Shared, SimpleQueue, Value,
    init, spawn, target,
};

const LONG: Duration = Duration::from_secs(30);

/// The number of processes to kill.
const KILLS: u64 = 25;

fn main() -> ExitCode {
    init([
        target(put_without_end),
        target(get_without_end),
        target(use_everything),
        target(die_with),
    ]);
    let test = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        test(
            "a_killed_producer_blocks_nobody",
            a_killed_producer_blocks_nobody,
        ),
        test(
            "a_killed_consumer_loses_one_item_at_most",
            a_killed_consumer_loses_one_item_at_most,
        ),
        test(
            "everything_travels_to_a_spawned_child",
            everything_travels_to_a_spawned_child,
        ),
        test(
            "the_next_owner_learns_of_a_killed_one",
            the_next_owner_learns_of_a_killed_one,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

type Item = (u64, Vec<u8>);

/// Items have very different sizes, and a torn item is recognisable.
fn item(n: u64) -> Item {
    let size = if n % 50 == 49 { 100_000 } else { n % 300 };
    (n, vec![n as u8; size as usize])
}

/// Makes a queue with or without a limit.
fn queue(round: u64) -> Queue<Item> {
    Queue::bounded(if round.is_multiple_of(2) { 0 } else { 3 }).unwrap()
}

fn kill(child: Process) {
    child.kill().unwrap();
    child.join().unwrap();
}

fn put_without_end(queue: Queue<Item>) -> Result<(), QueueError> {
    (0..).try_for_each(|n| queue.put(&item(n)))
}

fn a_killed_producer_blocks_nobody() {
    for round in 0..KILLS {
        let queue = queue(round);
        let child = spawn(put_without_end, queue.clone()).unwrap();
        // Kill it at a different point of its work each time.
        let mut next = 0;
        while next < round * 13 {
            assert_eq!(queue.get_timeout(LONG).unwrap(), item(next));
            next += 1;
        }
        kill(child);
        while let Ok(got) = queue.try_get() {
            assert_eq!(got, item(next), "in order, whole, without a gap");
            next += 1;
        }
        queue.put_timeout(&item(7), LONG).unwrap();
        assert_eq!(queue.get_timeout(LONG).unwrap(), item(7));
    }
}

/// Reports each item that it gets.
fn get_without_end((queue, report): (Queue<Item>, Fd)) -> std::io::Result<()> {
    let mut report = File::from(report.into_inner());
    while let Ok((n, bytes)) = queue.get() {
        assert_eq!(bytes, item(n).1);
        report.write_all(&n.to_le_bytes())?;
    }
    Ok(())
}

fn a_killed_consumer_loses_one_item_at_most() {
    for round in 0..KILLS {
        let queue = queue(round);
        let (mut reports, report) = std::io::pipe().unwrap();
        let child = spawn(get_without_end, (queue.clone(), Fd::from(report))).unwrap();
        let all = 11 + round;
        (0..all).for_each(|n| queue.put_timeout(&item(n), LONG).unwrap());
        kill(child);
        let mut got = Vec::new();
        reports.read_to_end(&mut got).unwrap();
        let mut got: Vec<u64> = got
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        while let Ok((n, bytes)) = queue.try_get() {
            assert_eq!(bytes, item(n).1);
            got.push(n);
        }
        assert!(
            got.windows(2).all(|pair| pair[0] < pair[1]),
            "each once, in order: {got:?}"
        );
        assert!(
            got.len() as u64 + 1 >= all,
            "{} of {all} items: {got:?}",
            got.len()
        );
        queue.put_timeout(&item(7), LONG).unwrap();
        assert_eq!(queue.get_timeout(LONG).unwrap(), item(7));
    }
}

type Everything = (
    (Queue<u32>, JoinableQueue<u32>, SimpleQueue<u32>),
    (Lock, RLock, Value<u32>, Array<u32>, Shared<AtomicU64>),
);

fn use_everything(everything: Everything) -> Result<(), Box<dyn std::error::Error>> {
    let ((queue, joinable, simple), (lock, rlock, value, array, shared)) = everything;
    let (_lock, _rlock) = (lock.lock()?, rlock.lock()?);
    queue.put(&(joinable.get()? + simple.get()?))?;
    joinable.task_done()?;
    value.set(7)?;
    array.lock()?.reverse();
    shared.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn everything_travels_to_a_spawned_child() {
    let queues = (
        Queue::new().unwrap(),
        JoinableQueue::new(0).unwrap(),
        SimpleQueue::new().unwrap(),
    );
    let memory = (
        Lock::new().unwrap(),
        RLock::new().unwrap(),
        Value::new(0).unwrap(),
        Array::new(&[1, 2, 3]).unwrap(),
        Shared::new(AtomicU64::new(1)).unwrap(),
    );
    let child = spawn(use_everything, (queues.clone(), memory.clone())).unwrap();
    queues.1.put(&1).unwrap();
    queues.2.put(&2).unwrap();
    queues.1.join().unwrap();
    assert_eq!(queues.0.get().unwrap(), 3);
    assert!(child.join().unwrap().success());
    drop((memory.0.lock().unwrap(), memory.1.lock().unwrap()));
    assert_eq!(memory.2.get().unwrap(), 7);
    assert_eq!(*memory.3.lock().unwrap(), [3, 2, 1]);
    assert_eq!(memory.4.load(Ordering::Relaxed), 2);
}

fn die_with((lock, owned): (Lock, Queue<()>)) -> Result<(), Box<dyn std::error::Error>> {
    let _guard = lock.lock()?;
    owned.put(&())?;
    // The process is killed here.
    owned.close()?;
    loop {
        std::thread::park();
    }
}

fn the_next_owner_learns_of_a_killed_one() {
    let (lock, owned) = (Lock::new().unwrap(), Queue::new().unwrap());
    let child = spawn(die_with, (lock.clone(), owned.clone())).unwrap();
    owned.get_timeout(LONG).unwrap();
    assert!(matches!(lock.acquire(false, None), Ok(Acquired::TimedOut)));
    kill(child);
    match lock.acquire(true, Some(LONG)).unwrap() {
        Acquired::OwnerDied(guard) => guard.repaired().unwrap(),
        acquired => panic!("{acquired:?}"),
    }
    drop(lock.lock().unwrap());
}
