//! The pool on both channels. The workers are this program, started again, so it has a `main` of its own.
//!
//! `POOL_TEST_KILLS=1000 cargo test -p pool_demo --test pool` kills more workers than usual.

#![allow(dead_code, unused_imports, clippy::unwrap_used)]

#[path = "../../queue_demo/src/channel.rs"]
mod channel;
#[path = "../../queue_demo/src/event.rs"]
mod event;
#[path = "../../queue_demo/src/memory.rs"]
mod memory;
#[path = "../../queue_demo/src/monitor.rs"]
mod monitor;
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
#[path = "../src/pool.rs"]
mod pool;
#[path = "../../queue_demo/src/ring.rs"]
mod ring;
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
#[path = "../../queue_demo/src/socket.rs"]
mod socket;

use std::collections::BTreeSet;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use anyhow::{Result, bail, ensure};
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use channel::Channel;
use multiprocessing::Exit;
use pool::{Pool, PoolError, Task, entry, serve};
use ring::Ring;
use socket::Socket;

/// Long enough for anything to happen, on any machine.
const LONG: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);

fn main() -> Result<ExitCode> {
    if refusal(parent_id()).exists() {
        process::exit(5);
    }
    let tasks = &[entry::<Double>(), entry::<Do>(), entry::<Bytes>()];
    if serve::<Socket>(tasks)? || serve::<Ring>(tasks)? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut args = Arguments::from_args();
    args.test_threads = Some(1); // The tests use all cores, and one of them forbids new workers to start.
    let trials = [tests::<Socket>(), tests::<Ring>()].concat();
    let trials = trials.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    Ok(libtest_mimic::run(&args, trials.collect()).exit_code())
}

/// While this file is there, the workers of the process do not start.
fn refusal(pid: u32) -> PathBuf {
    env::temp_dir().join(format!("pool_test_refusal.{pid}"))
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct Double(u64);

impl Task for Double {
    const NAME: &str = "double";
    type Output = u64;

    fn run(self) -> Result<u64> {
        Ok(self.0 * 2)
    }
}

/// All return the worker's pid.
#[derive(Serialize, Deserialize, Clone, Copy)]
enum Do {
    Nothing,
    Sleep(Duration),
    Fail,
    Panic,
    Exit,
    Die,
}

impl Task for Do {
    const NAME: &str = "do";
    type Output = i32;

    fn run(self) -> Result<i32> {
        match self {
            Do::Nothing => {}
            Do::Sleep(time) => thread::sleep(time),
            Do::Fail => bail!("no luck"),
            Do::Panic => panic!("no hope"),
            Do::Exit => process::exit(3),
            Do::Die => kill_process(getpid(), Signal::KILL)?,
        }
        Ok(getpid().as_raw_nonzero().get())
    }
}

#[derive(Serialize, Deserialize)]
struct Bytes(Vec<u8>);

impl Task for Bytes {
    const NAME: &str = "bytes";
    type Output = Vec<u8>;

    fn run(mut self) -> Result<Vec<u8>> {
        self.0.reverse();
        Ok(self.0)
    }
}

/// In no list.
#[derive(Serialize, Deserialize)]
struct Stranger;

impl Task for Stranger {
    const NAME: &str = "stranger";
    type Output = ();

    fn run(self) -> Result<()> {
        Ok(())
    }
}

type Test = (String, fn());

fn tests<C: Channel + 'static>() -> Vec<Test> {
    let test = |name: &str, test: fn()| (format!("{}::{name}", C::NAME), test);
    vec![
        test("map_keeps_the_order", map_keeps_the_order::<C>),
        test("errors_come_back", errors_come_back::<C>),
        test("large_items_arrive_whole", large_items_arrive_whole::<C>),
        test(
            "killed_workers_are_replaced",
            killed_workers_are_replaced::<C>,
        ),
        test("idle_workers_are_replaced", idle_workers_are_replaced::<C>),
        test(
            "random_kills_lose_one_task_each",
            random_kills_lose_one_task_each::<C>,
        ),
        test("timeouts", timeouts::<C>),
        test(
            "a_closed_pool_does_what_it_has",
            a_closed_pool_does_what_it_has::<C>,
        ),
        test(
            "a_terminated_pool_leaves_nothing",
            a_terminated_pool_leaves_nothing::<C>,
        ),
        test("callbacks", callbacks::<C>),
        test(
            "results_that_have_come_survive_the_end",
            results_that_have_come_survive_the_end::<C>,
        ),
        test(
            "unordered_results_come_as_they_are_done",
            unordered_results_come_as_they_are_done::<C>,
        ),
        test("workers_that_do_not_start", workers_that_do_not_start::<C>),
    ]
}

fn pool<C: Channel + 'static>(workers: usize) -> Pool<C> {
    Pool::with_workers(workers).unwrap()
}

fn map_keeps_the_order<C: Channel + 'static>() {
    let pool = pool::<C>(3);
    for chunksize in [None, Some(0), Some(1), Some(7), Some(5000)] {
        let doubled = pool.map((0..1000).map(Double), chunksize).unwrap();
        assert!(doubled.into_iter().eq((0..1000).map(|n| 2 * n)));
    }
    assert_eq!(pool.map([Double(1); 0], None).unwrap(), []);
    // More than the channel holds.
    let results: Vec<_> = (0..20_000)
        .map(|n| pool.apply_async(Double(n)).unwrap())
        .collect();
    let sum: u64 = results.iter().map(|result| result.get().unwrap()).sum();
    assert_eq!(sum, 20_000 * 19_999);
    assert!(Pool::<C>::with_workers(0).is_err());
    assert!(Pool::<C>::with_workers(257).is_err());
}

fn errors_come_back<C: Channel + 'static>() {
    let pool = pool::<C>(1);
    let worker = pool.apply(Do::Nothing).unwrap();
    assert!(
        matches!(pool.apply(Do::Fail), Err(PoolError::Failed(message)) if message == "no luck")
    );
    let Err(PoolError::Panicked { message, place }) = pool.apply(Do::Panic) else {
        panic!("no panic");
    };
    assert_eq!(message, "no hope");
    assert!(place.contains("pool.rs:"), "{place}");
    let unknown = pool.apply(Stranger).unwrap_err().to_string();
    assert!(
        unknown.contains("\"stranger\"") && unknown.contains("\"double\""),
        "{unknown}"
    );
    let twice = serve::<C>(&[entry::<Do>(), entry::<Double>(), entry::<Do>()]).unwrap_err();
    assert!(twice.to_string().contains("two tasks"), "{twice}");
    // The first error in order; and the same again, however often it is asked for.
    let mixed = pool
        .map_async([Do::Nothing, Do::Fail, Do::Panic], Some(2))
        .unwrap();
    for _ in 0..2 {
        assert!(matches!(mixed.get(), Err(PoolError::Failed(_))));
    }
    assert_eq!(mixed.successful(), Some(false));
    assert_eq!(pool.apply(Do::Nothing).unwrap(), worker);
}

fn large_items_arrive_whole<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    let items = |n: u8| Bytes((0..3 << 20).map(|place| (place % 251) as u8 ^ n).collect());
    let results = pool.map((0..8).map(items), Some(1)).unwrap();
    for (n, mut result) in (0..).zip(results) {
        result.reverse();
        assert!(result == items(n).0);
    }
}

fn killed_workers_are_replaced<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    for _ in 0..5 {
        let before: Vec<_> = (0..50)
            .map(|n| pool.apply_async(Double(n)).unwrap())
            .collect();
        let killed = pool.apply_async(Do::Die).unwrap();
        let left = pool.apply_async(Do::Exit).unwrap();
        let after: Vec<_> = (0..50)
            .map(|n| pool.apply_async(Double(n)).unwrap())
            .collect();
        for results in [before, after] {
            for (n, result) in (0..).zip(results) {
                assert_eq!(result.get_timeout(LONG).unwrap(), 2 * n);
            }
        }
        let died = killed.get_timeout(LONG);
        assert!(
            matches!(died, Err(PoolError::WorkerDied(Exit::Signal(9)))),
            "{died:?}"
        );
        let died = left.get_timeout(LONG);
        assert!(
            matches!(died, Err(PoolError::WorkerDied(Exit::Code(3)))),
            "{died:?}"
        );
    }
}

fn workers<C: Channel + 'static>(pool: &Pool<C>, count: usize) -> BTreeSet<i32> {
    // Each is busy for a moment, so that all take part, sooner or later.
    let start = Instant::now();
    let mut pids = BTreeSet::new();
    while pids.len() < count {
        assert!(start.elapsed() < LONG, "{pids:?}");
        pids = pool
            .map(vec![Do::Sleep(MOMENT); count], Some(1))
            .unwrap()
            .into_iter()
            .collect();
    }
    pids
}

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).unwrap()
}

fn idle_workers_are_replaced<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    for _ in 0..5 {
        let before = workers(&pool, 2);
        before
            .iter()
            .for_each(|worker| kill_process(pid(*worker), Signal::KILL).unwrap());
        let doubled = pool.map_async((0..100).map(Double), Some(1)).unwrap();
        doubled.get_timeout(LONG).unwrap();
        assert!(workers(&pool, 2).is_disjoint(&before));
    }
}

/// Every task is done, or reported with the worker that died; each kill takes one task at most.
fn random_kills_lose_one_task_each<C: Channel + 'static>() {
    let kills = env::var("POOL_TEST_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let pool = pool::<C>(2);
    for round in 0..kills {
        let victim = *workers(&pool, 2).first().unwrap();
        let results: Vec<_> = (0..300)
            .map(|n| pool.apply_async(Double(n)).unwrap())
            .collect();
        // Somewhere in its work, not always at the same point.
        thread::sleep(Duration::from_micros(round * 37 % 1000));
        kill_process(pid(victim), Signal::KILL).unwrap();
        let mut died = 0;
        for (n, result) in (0..).zip(results) {
            match result.get_timeout(LONG) {
                Ok(double) => assert_eq!(double, 2 * n),
                Err(PoolError::WorkerDied(Exit::Signal(9))) => died += 1,
                Err(error) => panic!("{n}: {error}"),
            }
        }
        assert!(died <= 1, "{died} tasks failed");
    }
}

fn timeouts<C: Channel + 'static>() {
    let pool = pool::<C>(1);
    let result = pool.apply_async(Do::Sleep(4 * MOMENT)).unwrap();
    assert!(!result.ready());
    assert_eq!(result.successful(), None);
    let start = Instant::now();
    assert!(matches!(
        result.get_timeout(MOMENT),
        Err(PoolError::TimedOut)
    ));
    assert!(start.elapsed() >= MOMENT);
    assert!(result.wait(LONG).unwrap());
    assert!(result.ready());
    assert_eq!(result.successful(), Some(true));
}

fn a_closed_pool_does_what_it_has<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    let mut results: Vec<_> = (0..100)
        .map(|n| pool.apply_async(Double(n)).unwrap())
        .collect();
    let killed = pool.apply_async(Do::Die).unwrap();
    results.extend((0..100).map(|n| pool.apply_async(Double(n)).unwrap()));
    pool.close().unwrap();
    assert!(matches!(pool.apply(Double(1)), Err(PoolError::Closed)));
    pool.join().unwrap();
    assert!(
        results
            .iter()
            .all(|result| result.ready() && result.get().is_ok())
    );
    assert!(matches!(killed.get(), Err(PoolError::WorkerDied(_))));
}

fn a_terminated_pool_leaves_nothing<C: Channel + 'static>() {
    for drop_it in [false, true] {
        let pool = pool::<C>(2);
        let pids = workers(&pool, 2);
        let results: Vec<_> = (0..10)
            .map(|_| pool.apply_async(Do::Sleep(LONG)).unwrap())
            .collect();
        let start = Instant::now();
        if drop_it {
            drop(pool)
        } else {
            pool.terminate()
        }
        assert!(start.elapsed() < LONG);
        for result in results {
            assert!(matches!(result.get(), Err(PoolError::Terminated)));
        }
        assert!(
            pids.into_iter()
                .all(|worker| test_kill_process(pid(worker)).is_err())
        );
    }
}

fn callbacks<C: Channel + 'static>() {
    let pool = std::sync::Arc::new(pool::<C>(2));
    let (sender, results) = channel();
    let (good, bad) = (sender.clone(), sender.clone());
    pool.apply_async_with(
        Double(4),
        move |n| good.send(n).unwrap(),
        move |_| bad.send(0).unwrap(),
    )
    .unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(8));
    let (good, bad) = (sender.clone(), sender.clone());
    pool.apply_async_with(
        Do::Die,
        move |_| good.send(0).unwrap(),
        move |_| bad.send(1).unwrap(),
    )
    .unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(1));
    // A callback may hand in tasks, but not wait for them.
    let (good, again) = (sender.clone(), std::sync::Arc::downgrade(&pool));
    let hand_in = move |_| {
        let pool = again.upgrade().unwrap();
        assert!(matches!(pool.apply(Double(1)), Err(PoolError::InCallback)));
        let nothing = |_| {};
        let then = move |all: Vec<u64>| good.send(all.len() as u64).unwrap();
        pool.map_async_with([1, 2, 3].map(Double), None, then, nothing)
            .unwrap();
    };
    pool.apply_async_with(Double(1), hand_in, |_| {}).unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(3));
    // One that panics hurts nobody else. (`resume_unwind` does not print it.)
    pool.apply_async_with(
        Double(1),
        |_| std::panic::resume_unwind(Box::new(())),
        |_| {},
    )
    .unwrap();
    assert_eq!(pool.apply(Double(2)).unwrap(), 4);
}

fn results_that_have_come_survive_the_end<C: Channel + 'static>() {
    let pool = pool::<C>(1);
    let slow = |_| thread::sleep(6 * MOMENT);
    let first = pool.apply_async_with(Double(1), slow, |_| {}).unwrap();
    let second = pool.apply_async(Double(2)).unwrap();
    thread::sleep(3 * MOMENT); // Meanwhile the second is done too, and waits for the callback.
    pool.terminate();
    assert_eq!(first.get_timeout(LONG).unwrap(), 2);
    assert!(!matches!(
        second.get_timeout(LONG),
        Err(PoolError::TimedOut)
    ));
}

fn unordered_results_come_as_they_are_done<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    let tasks = [Do::Sleep(10 * MOMENT), Do::Nothing, Do::Fail];
    let results: Vec<_> = pool.imap_unordered(tasks, None).unwrap().collect();
    assert_eq!(results.len(), 3);
    assert!(
        results[2].is_ok() && results[..2].iter().filter(|result| result.is_err()).count() == 1
    );
    // A chunk that dies is an error for each of its tasks.
    let tasks = [Do::Nothing, Do::Fail, Do::Die, Do::Nothing, Do::Nothing];
    let results: Vec<_> = pool.imap_unordered(tasks, Some(3)).unwrap().collect();
    let died = |result: &Result<i32, PoolError>| matches!(result, Err(PoolError::WorkerDied(_)));
    assert_eq!(results.iter().filter(|result| died(result)).count(), 3);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    drop(pool.imap_unordered([Do::Nothing; 10], None).unwrap());
}

fn workers_that_do_not_start<C: Channel + 'static>() {
    let pool = pool::<C>(2);
    let pids = workers(&pool, 2);
    let refusal = refusal(process::id());
    fs::write(&refusal, "").unwrap();
    let checked = (|| {
        let error = Pool::<C>::with_workers(2)
            .err()
            .map(|error| error.to_string());
        let error = error.unwrap_or_default();
        ensure!(error.contains("ready (exit code 5)"), "{error}");
        // The pool that was well has no workers any more, and says so instead of waiting.
        pids.iter()
            .for_each(|worker| kill_process(pid(*worker), Signal::KILL).unwrap());
        let start = Instant::now();
        while start.elapsed() < LONG {
            match pool
                .apply_async(Double(1))
                .and_then(|result| result.get_timeout(LONG))
            {
                Err(PoolError::NoWorkers(reason)) => {
                    ensure!(reason.contains("exit code 5"), "{reason}");
                    return Ok(());
                }
                _ => thread::sleep(MOMENT),
            }
        }
        bail!("it goes on")
    })();
    fs::remove_file(&refusal).unwrap();
    checked.unwrap();
    // It tries again, every second.
    let start = Instant::now();
    while pool.apply(Double(1)).is_err() {
        assert!(start.elapsed() < LONG);
        thread::sleep(MOMENT);
    }
    workers(&pool, 2);
}
