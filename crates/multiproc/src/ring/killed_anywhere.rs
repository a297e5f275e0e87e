//! A process is killed after any number of instructions of an operation. The ring is as it was before the operation or as
//! it is after it, never in between, and works on.
//!
//! The process is forked and traced: single steps, then SIGKILL. By default some thirty points are tried, spread over the
//! operation. `KILL_EVERY=1 cargo test --release -p multiproc --lib killed_anywhere` tries them all.

use std::env;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::tests::get;
use super::{Outcome, Ring};

const LONG: Duration = Duration::from_secs(30);

/// How many points of an operation are tried.
const POINTS: usize = 30;

/// An operation of more instructions copies a large item. Fewer than `EDGE` come before and after that.
const COPY: usize = 50_000;
const EDGE: usize = 2000;

/// The items in the ring before the operation, oldest first, and the one that the operation puts.
const ITEMS: [u8; 3] = [1, 2, 3];
const NEW: u8 = 4;

/// The killed consumer, and another one.
const CONSUMER: usize = 7;
const OTHER: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Put,
    /// A put of an item that has a place of its own.
    PutLarge,
    Get,
    GetLarge,
    TaskDone,
    Close,
}

use Operation::*;

impl Operation {
    /// The size of the items.
    fn size(self) -> usize {
        match self {
            PutLarge | GetLarge => (4 << 20) + 1,
            _ => 8,
        }
    }

    fn run(self, ring: &Ring, item: &mut Vec<u8>) -> bool {
        match self {
            Put | PutLarge => matches!(ring.put(item, None), Ok(Outcome::Done(()))),
            Get | GetLarge => {
                let got = ring.get_into(item, Some(CONSUMER), None);
                matches!(got, Ok(Outcome::Done(())))
            }
            TaskDone => ring.task_done(),
            Close => ring.close().is_ok(),
        }
    }
}

#[test]
fn put() {
    kill_at_many_points(Put);
}

#[test]
fn put_large() {
    kill_at_many_points(PutLarge);
}

#[test]
fn get_one() {
    kill_at_many_points(Get);
}

#[test]
fn get_large() {
    kill_at_many_points(GetLarge);
}

#[test]
fn task_done() {
    kill_at_many_points(TaskDone);
}

#[test]
fn close() {
    kill_at_many_points(Close);
}

fn kill_at_many_points(operation: Operation) {
    let steps = kill_after(operation, usize::MAX);
    let every =
        env::var("KILL_EVERY").map_or(steps.min(EDGE) / POINTS, |every| every.parse().unwrap());
    let points: Vec<usize> = if steps < COPY {
        (0..steps).step_by(every).collect()
    } else {
        // To come to the end takes a second or two.
        let end = steps - EDGE / 2..steps;
        (0..EDGE)
            .step_by(every)
            .chain(end.step_by(10 * every))
            .collect()
    };
    for point in points {
        kill_after(operation, point);
    }
}

/// A ring in which items were put, got and done before, so that no counter is at its beginning.
fn used_ring(operation: Operation) -> Ring {
    let ring = Ring::new(0).unwrap();
    let mut item = Vec::new();
    for consumer in [CONSUMER, OTHER] {
        put_item(&ring, 0, 8);
        let got = ring.get_into(&mut item, Some(consumer), None).unwrap();
        assert_eq!(got, Outcome::Done(()));
        assert!(ring.task_done());
    }
    for (place, byte) in ITEMS.into_iter().enumerate() {
        let large = operation == GetLarge && place == 0;
        put_item(&ring, byte, if large { operation.size() } else { 8 });
    }
    ring
}

fn put_item(ring: &Ring, byte: u8, size: usize) {
    assert_eq!(
        ring.put(&vec![byte; size], None).unwrap(),
        Outcome::Done(())
    );
}

/// Returns how many instructions the operation has, or had until the process was killed.
fn kill_after(operation: Operation, point: usize) -> usize {
    let ring = used_ring(operation);
    let mut item = vec![NEW; operation.size()];
    // SAFETY: the child makes system calls, locks only what this test has made, and allocates nothing.
    let child = match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let done = ptrace::traceme()
                .and_then(|()| raise(Signal::SIGSTOP))
                .is_ok_and(|()| operation.run(&ring, &mut item) && raise(Signal::SIGSTOP).is_ok());
            // SAFETY: ending the process has no precondition.
            unsafe { libc::_exit(done.into()) }
        }
    };
    let stopped = |signal| WaitStatus::Stopped(child, signal);
    assert_eq!(waitpid(child, None), Ok(stopped(Signal::SIGSTOP)));
    let mut steps = 0;
    while steps < point {
        ptrace::step(child, None).unwrap();
        match waitpid(child, None).unwrap() {
            status if status == stopped(Signal::SIGTRAP) => steps += 1,
            status if status == stopped(Signal::SIGSTOP) => break,
            status => panic!("{status:?} after {steps} steps"),
        }
    }
    kill_and_reap(child);
    let done = steps < point;
    check(&ring, operation, done).unwrap_or_else(|wrong| {
        panic!("{operation:?}, killed after {steps} instructions: {wrong}")
    });
    steps
}

fn kill_and_reap(child: Pid) {
    kill(child, Signal::SIGKILL).unwrap();
    assert_eq!(
        waitpid(child, None),
        Ok(WaitStatus::Signaled(child, Signal::SIGKILL, false))
    );
}

/// Looks at what the killed process has left, as any other process would. `done`: it was killed afterwards.
fn check(ring: &Ring, operation: Operation, done: bool) -> Result<(), String> {
    let ensure = |right: bool, what: &str| right.then_some(()).ok_or(what.to_owned());
    let now = || Some(Instant::now());
    let length = ring.len();
    let taken = ring.taken_by(CONSUMER).unwrap();
    let closed = operation == Close && ring.put(&[9], now()).unwrap() == Outcome::Closed;
    let mut items = Vec::new();
    while items.len() < 10
        && let Outcome::Done(item) = get(ring, now()).unwrap()
    {
        let size = item.len();
        ensure(item.iter().all(|byte| *byte == item[0]), "an item is torn")?;
        items.push((item[0], size));
    }
    let mut before: Vec<(u8, usize)> = ITEMS.map(|byte| (byte, 8)).into();
    if operation == GetLarge {
        before[0].1 = operation.size();
    }
    let happened = match operation {
        Put | PutLarge => {
            let happened = items.len() > before.len();
            if happened {
                before.push((NEW, operation.size()));
            }
            ensure(length == items.len(), "the length is wrong")?;
            happened
        }
        Get | GetLarge => {
            let happened = items.len() < before.len();
            if happened {
                before.remove(0);
            }
            ensure(length == items.len(), "the length is wrong")?;
            // An item that another consumer has taken since does not change that.
            let later = ring.taken_by(CONSUMER).unwrap();
            ensure(
                taken == later,
                &format!("it has taken {taken:?}, and then {later:?}"),
            )?;
            // It had taken item 0. Its mark is either that, or nothing, or the item that it took now.
            let right = match happened {
                true => taken == Some(2),
                false => matches!(taken, None | Some(0)),
            };
            ensure(right, &format!("it has taken {taken:?}"))?;
            happened
        }
        TaskDone => {
            let unfinished = (0..10).take_while(|_| ring.task_done()).count();
            ensure(
                (2..=3).contains(&unfinished),
                &format!("{unfinished} are not done"),
            )?;
            ensure(ring.join(now()).unwrap(), "not joined")?;
            unfinished == 2
        }
        Close => {
            // If it was not closed, the item that was put to find that out is in it.
            if !closed {
                before.push((9, 1));
            }
            closed
        }
    };
    ensure(items == before, &format!("the items are {items:?}"))?;
    ensure(happened || !done, "it had done nothing")?;
    let other = ring.taken_by(OTHER).unwrap();
    ensure(
        other == Some(1),
        &format!("the other consumer has taken {other:?}"),
    )?;
    if !closed {
        let until = Some(Instant::now() + LONG);
        // A large item first: the announcement of one that was not put must not delay it.
        for size in [operation.size(), 1] {
            let item = vec![5; size];
            ensure(
                ring.put(&item, until).unwrap() == Outcome::Done(()),
                "no put",
            )?;
            ensure(get(ring, until).unwrap() == Outcome::Done(item), "no get")?;
        }
        ensure(ring.len() == 0, "not empty")?;
    }
    Ok(())
}
