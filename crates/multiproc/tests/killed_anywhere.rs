//! A process is killed after any number of instructions of a `put`, a `get`, a `task_done` or a `close`: the queue is
//! as it was before or as it is after, never in between, and goes on.
//!
//! The process is this program, started again and traced: single steps, then SIGKILL. By default some thirty points,
//! spread over the operation; `KILL_EVERY=1 cargo test --release -p queue_demo --test killed_anywhere` takes them all.

#![allow(dead_code, unused_imports, clippy::unwrap_used)]

#[path = "../src/channel.rs"]
mod channel;
#[path = "../src/event.rs"]
mod event;
#[path = "../src/memory.rs"]
mod memory;
#[path = "../src/monitor.rs"]
mod monitor;
#[path = "../src/queues.rs"]
mod queues;
#[path = "../src/ring.rs"]
mod ring;
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
#[path = "../src/socket.rs"]
mod socket;

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, mem, process};

use libtest_mimic::{Arguments, Trial};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};

use channel::{Channel, Outcome};
use queues::{JoinableQueue, QueueError};
use ring::Ring;
use socket::Socket;

/// What the traced process does, its descriptors behind it.
const TASK: &str = "KILLED_ANYWHERE";

const LONG: Duration = Duration::from_secs(30);

/// How many points of an operation are tried.
const POINTS: usize = 30;

/// What is in the queue before.
const ITEMS: [u64; 3] = [1, 2, 3];

/// The consumer's number.
const CONSUMER: usize = 7;

fn main() -> ExitCode {
    if let Ok(task) = env::var(TASK) {
        let mut words = task.split(' ');
        let operation = words.next().unwrap();
        let name = words.next().unwrap();
        let fds = words.map(|fd| {
            // SAFETY: the parent has left these descriptors open for this process, and nobody else here knows them.
            unsafe { OwnedFd::from_raw_fd(fd.parse().unwrap()) }
        });
        match name {
            Ring::NAME => traced::<Ring>(operation, fds.collect()),
            _ => traced::<Socket>(operation, fds.collect()),
        }
        process::exit(0);
    }
    let trial = |name: String, test: fn(&str), operation: &'static str| {
        Trial::test(name, move || {
            test(operation);
            Ok(())
        })
    };
    let socket = ["put", "put_large", "get", "task_done", "close"].map(|operation| {
        trial(
            format!("socket::{operation}"),
            kill_at_many_points::<Socket>,
            operation,
        )
    });
    let ring = ["put", "get", "task_done", "close"].map(|operation| {
        trial(
            format!("ring::{operation}"),
            kill_at_many_points::<Ring>,
            operation,
        )
    });
    let trials = socket.into_iter().chain(ring).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The traced process: stops, does the operation, stops.
fn traced<C: Channel>(operation: &str, fds: Vec<OwnedFd>) {
    let channel = C::from_fds(fds).unwrap();
    let item = bytes(operation);
    // What only the first use costs, like clearing a buffer, would be a million steps.
    let other = C::new(0, true).unwrap();
    drop(other.put(&item, None).unwrap());
    drop(other.get(Some(CONSUMER), None).unwrap());
    ptrace::traceme().unwrap();
    raise(Signal::SIGSTOP).unwrap();
    match operation {
        "put" | "put_large" => drop(channel.put(&item, None).unwrap()),
        "get" => drop(channel.get(Some(CONSUMER), None).unwrap()),
        "task_done" => drop(channel.task_done().unwrap()),
        _ => channel.close().unwrap(),
    }
    raise(Signal::SIGSTOP).unwrap();
}

/// The item that is put: a large one is a memfd in the socket's packet.
fn bytes(operation: &str) -> Vec<u8> {
    vec![4; if operation == "put_large" { 100_000 } else { 8 }]
}

fn kill_at_many_points<C: Channel>(operation: &str) {
    let steps = kill_after::<C>(operation, usize::MAX);
    let every = env::var("KILL_EVERY").map_or(steps / POINTS, |every| every.parse().unwrap());
    for point in (0..steps).step_by(every.max(1)) {
        kill_after::<C>(operation, point);
    }
}

/// Returns how many instructions the operation has, or had until the process was killed.
fn kill_after<C: Channel>(operation: &str, point: usize) -> usize {
    let channel = C::new(0, true).unwrap();
    for item in ITEMS {
        assert_eq!(
            channel.put(&item.to_le_bytes(), None).unwrap(),
            Outcome::Done(())
        );
    }
    let child = start(operation, &channel);
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
    nix::sys::signal::kill(child, Signal::SIGKILL).unwrap();
    assert_eq!(
        waitpid(child, None),
        Ok(WaitStatus::Signaled(child, Signal::SIGKILL, false))
    );
    let done = steps < point;
    check(&channel, operation, done).unwrap_or_else(|wrong| {
        panic!(
            "{operation} on {}, killed after {steps} instructions: {wrong}",
            C::NAME
        )
    });
    steps
}

fn start<C: Channel>(operation: &str, channel: &C) -> Pid {
    let fds: Vec<RawFd> = channel.fds().iter().map(AsRawFd::as_raw_fd).collect();
    let numbers: String = fds.iter().map(|fd| format!(" {fd}")).collect();
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(TASK, format!("{operation} {}{numbers}", C::NAME));
    let keep = move || {
        fds.iter().try_for_each(|fd| {
            // SAFETY: the channel is open until the child has started.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            Ok(fcntl_setfd(fd, FdFlags::empty())?)
        })
    };
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe { command.pre_exec(keep) };
    // It is waited for by its pid: `Child` knows nothing of stops.
    let child = mem::ManuallyDrop::new(command.spawn().unwrap());
    Pid::from_raw(child.id().cast_signed())
}

/// Looks at what the killed process has left, from outside as any other would. `done`: it was killed afterwards.
fn check<C: Channel>(channel: &C, operation: &str, done: bool) -> Result<(), String> {
    let ensure = |right: bool, what: &str| right.then_some(()).ok_or(what.to_owned());
    let length = channel.len().unwrap().unwrap();
    let taken = channel.taken_by(CONSUMER).unwrap();
    let closed = operation == "close"
        && channel.put(&[9], Some(std::time::Instant::now())).unwrap() == Outcome::Closed;
    let mut items = Vec::new();
    while items.len() < 10
        && let Outcome::Done(item) = channel.get(None, Some(std::time::Instant::now())).unwrap()
    {
        items.push(item);
    }
    let mut before: Vec<Vec<u8>> = ITEMS.map(|item| item.to_le_bytes().to_vec()).into();
    let happened = match operation {
        "put" | "put_large" => {
            let happened = items.len() > before.len();
            if happened {
                before.push(bytes(operation));
            }
            ensure(length == items.len(), "the length is wrong")?;
            happened
        }
        "get" => {
            let happened = items.len() < before.len();
            if happened {
                before.remove(0);
            }
            ensure(length == items.len(), "the length is wrong")?;
            // Whoever has taken it since does not change that.
            let now = channel.taken_by(CONSUMER).unwrap();
            ensure(
                taken == now,
                &format!("it has taken {taken:?}, and then {now:?}"),
            )?;
            ensure(
                taken == happened.then_some(0),
                &format!("it has taken {taken:?}"),
            )?;
            happened
        }
        "task_done" => {
            let unfinished = (0..10).take_while(|_| channel.task_done().unwrap()).count();
            ensure(
                (2..=3).contains(&unfinished),
                &format!("{unfinished} are not done"),
            )?;
            unfinished == 2
        }
        _ => {
            // What was put to see whether it is closed is among the items if it was not.
            if !closed {
                before.push(vec![9]);
            }
            closed
        }
    };
    ensure(items == before, &format!("the items are {items:?}"))?;
    ensure(happened || !done, "it had done nothing")?;
    if operation == "task_done" {
        assert!(channel.join(None).unwrap());
    }
    if !closed {
        let until = Some(std::time::Instant::now() + LONG);
        ensure(
            channel.put(&[5], until).unwrap() == Outcome::Done(()),
            "no put",
        )?;
        ensure(
            channel.get(None, until).unwrap() == Outcome::Done(vec![5]),
            "no get",
        )?;
        ensure(channel.len().unwrap() == Some(0), "not empty")?;
    }
    Ok(())
}
