//! The pool. Its workers run this program again, so it has its own `main`.
//!
//! `POOL_TEST_KILLS=1000 cargo test -p multiproc --test pool` kills more workers than usual.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use anyhow::{Result, bail, ensure};
use libtest_mimic::{Arguments, Trial};
use multiproc::reduction::Fd;
use multiproc::{Exit, Pool, PoolError, init, target, task};
use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};
use serde::{Deserialize, Serialize, Serializer, ser};

/// Longer than any step takes on a slow machine.
const LONG: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);

fn main() -> Result<ExitCode> {
    if refusal(parent_id()).exists() {
        process::exit(5);
    }
    // A program that never calls `init`.
    if env::var_os("FORGETFUL").is_some() {
        let error = Pool::with_workers(1).err().map(|error| error.to_string());
        eprintln!("{}", error.unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    // A program that calls `init` with fewer functions in its workers.
    if env::var_os("MULTIPROC_CHILD").is_none() {
        init([task(parents_own)]);
    }
    init([
        task(double),
        task(run),
        task(reverse),
        task(nested),
        task(unwritable),
        task(take_descriptor),
        target(not_a_task),
    ]);
    let mut args = Arguments::from_args();
    args.test_threads = Some(1); // One test prevents new workers from starting.
    let test = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        test("map_keeps_the_order", map_keeps_the_order),
        test("errors_come_back", errors_come_back),
        test("large_items_arrive_whole", large_items_arrive_whole),
        test("killed_workers_are_replaced", killed_workers_are_replaced),
        test("idle_workers_are_replaced", idle_workers_are_replaced),
        test(
            "random_kills_lose_one_task_each",
            random_kills_lose_one_task_each,
        ),
        test("timeouts", timeouts),
        test(
            "a_closed_pool_does_what_it_has",
            a_closed_pool_does_what_it_has,
        ),
        test(
            "a_terminated_pool_leaves_nothing",
            a_terminated_pool_leaves_nothing,
        ),
        test("callbacks", callbacks),
        test("a_callback_may_own_the_pool", a_callback_may_own_the_pool),
        test(
            "results_that_have_come_survive_the_end",
            results_that_have_come_survive_the_end,
        ),
        test(
            "unordered_results_come_as_they_are_done",
            unordered_results_come_as_they_are_done,
        ),
        test("workers_that_do_not_start", workers_that_do_not_start),
        test(
            "unknown_functions_are_refused",
            unknown_functions_are_refused,
        ),
        test(
            "values_that_cannot_travel_are_errors",
            values_that_cannot_travel_are_errors,
        ),
        test("a_task_has_a_pool_of_its_own", a_task_has_a_pool_of_its_own),
        test(
            "a_process_without_init_has_no_pool",
            a_process_without_init_has_no_pool,
        ),
    ];
    Ok(libtest_mimic::run(&args, trials).exit_code())
}

/// While this file exists, the workers of the process do not start.
fn refusal(pid: u32) -> PathBuf {
    env::temp_dir().join(format!("pool_test_refusal.{pid}"))
}

fn double(n: u64) -> Result<u64> {
    Ok(2 * n)
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum Do {
    Nothing,
    Sleep(Duration),
    Fail,
    Panic,
    Exit,
    Die,
}

/// Returns the worker's pid.
fn run(what: Do) -> Result<i32> {
    match what {
        Do::Nothing => {}
        Do::Sleep(time) => thread::sleep(time),
        Do::Fail => bail!("no luck"),
        Do::Panic => panic!("no hope"),
        Do::Exit => process::exit(3),
        Do::Die => kill_process(getpid(), Signal::KILL)?,
    }
    Ok(getpid().as_raw_nonzero().get())
}

fn reverse(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    bytes.reverse();
    Ok(bytes)
}

/// A task that creates a pool.
fn nested(n: u64) -> Result<Vec<u64>> {
    Ok(Pool::with_workers(2)?.map(double, 0..n, Some(1))?)
}

fn unwritable(_: ()) -> Result<Unwritable> {
    Ok(Unwritable)
}

#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("never"))
    }
}

fn take_descriptor(_: Fd) -> Result<()> {
    Ok(())
}

/// Registered with `init` only in the parent.
fn parents_own(_: ()) -> Result<()> {
    Ok(())
}

/// Not registered with `init`.
fn stranger(_: ()) -> Result<()> {
    Ok(())
}

fn not_a_task(_: ()) -> Result<(), String> {
    Ok(())
}

fn pool(workers: usize) -> Pool {
    Pool::with_workers(workers).unwrap()
}

fn map_keeps_the_order() {
    let pool = pool(3);
    for chunksize in [None, Some(0), Some(1), Some(7), Some(5000)] {
        let doubled = pool.map(double, 0..1000, chunksize).unwrap();
        assert!(doubled.into_iter().eq((0..1000).map(|n| 2 * n)));
    }
    assert_eq!(pool.map(double, [], None).unwrap(), []);
    // More tasks than the ring holds.
    let results: Vec<_> = (0..20_000)
        .map(|n| pool.apply_async(double, n).unwrap())
        .collect();
    let sum: u64 = results.iter().map(|result| result.get().unwrap()).sum();
    assert_eq!(sum, 20_000 * 19_999);
    assert!(Pool::with_workers(0).is_err());
    assert!(Pool::with_workers(257).is_err());
}

fn errors_come_back() {
    let pool = pool(1);
    let worker = pool.apply(run, Do::Nothing).unwrap();
    assert!(
        matches!(pool.apply(run, Do::Fail), Err(PoolError::Failed(message)) if message == "no luck")
    );
    let Err(PoolError::Panicked { message, place }) = pool.apply(run, Do::Panic) else {
        panic!("no panic");
    };
    assert_eq!(message, "no hope");
    assert!(place.contains("pool.rs:"), "{place}");
    // Every call returns the first error in order.
    let mixed = pool
        .map_async(run, [Do::Nothing, Do::Fail, Do::Panic], Some(2))
        .unwrap();
    for _ in 0..2 {
        assert!(matches!(mixed.get(), Err(PoolError::Failed(_))));
    }
    assert_eq!(mixed.successful(), Some(false));
    assert_eq!(pool.apply(run, Do::Nothing).unwrap(), worker);
}

fn large_items_arrive_whole() {
    let pool = pool(2);
    let items = |n: u8| -> Vec<u8> { (0..5 << 20).map(|place| (place % 251) as u8 ^ n).collect() };
    let results = pool.map(reverse, (0..4).map(items), Some(1)).unwrap();
    for (n, mut result) in (0..).zip(results) {
        result.reverse();
        assert!(result == items(n));
    }
}

fn killed_workers_are_replaced() {
    let pool = pool(2);
    for _ in 0..5 {
        let before: Vec<_> = (0..50)
            .map(|n| pool.apply_async(double, n).unwrap())
            .collect();
        let killed = pool.apply_async(run, Do::Die).unwrap();
        let left = pool.apply_async(run, Do::Exit).unwrap();
        let after: Vec<_> = (0..50)
            .map(|n| pool.apply_async(double, n).unwrap())
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

fn workers(pool: &Pool, count: usize) -> BTreeSet<i32> {
    // Each task takes a moment, so that every worker eventually gets one.
    let start = Instant::now();
    let mut pids = BTreeSet::new();
    while pids.len() < count {
        assert!(start.elapsed() < LONG, "{pids:?}");
        pids = pool
            .map(run, vec![Do::Sleep(MOMENT); count], Some(1))
            .unwrap()
            .into_iter()
            .collect();
    }
    pids
}

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).unwrap()
}

fn idle_workers_are_replaced() {
    let pool = pool(2);
    for _ in 0..5 {
        let before = workers(&pool, 2);
        before
            .iter()
            .for_each(|worker| kill_process(pid(*worker), Signal::KILL).unwrap());
        let doubled = pool.map_async(double, 0..100, Some(1)).unwrap();
        doubled.get_timeout(LONG).unwrap();
        assert!(workers(&pool, 2).is_disjoint(&before));
    }
}

/// Every task is done or fails with its killed worker. A kill fails at most one task.
fn random_kills_lose_one_task_each() {
    let kills = env::var("POOL_TEST_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let pool = pool(2);
    for round in 0..kills {
        let victim = *workers(&pool, 2).first().unwrap();
        let results: Vec<_> = (0..300)
            .map(|n| pool.apply_async(double, n).unwrap())
            .collect();
        // Kill at a different point of the work each time.
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

fn timeouts() {
    let pool = pool(1);
    let result = pool.apply_async(run, Do::Sleep(4 * MOMENT)).unwrap();
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

fn a_closed_pool_does_what_it_has() {
    let pool = pool(2);
    let mut results: Vec<_> = (0..100)
        .map(|n| pool.apply_async(double, n).unwrap())
        .collect();
    let killed = pool.apply_async(run, Do::Die).unwrap();
    results.extend((0..100).map(|n| pool.apply_async(double, n).unwrap()));
    pool.close().unwrap();
    assert!(matches!(pool.apply(double, 1), Err(PoolError::Closed)));
    pool.join().unwrap();
    assert!(
        results
            .iter()
            .all(|result| result.ready() && result.get().is_ok())
    );
    assert!(matches!(killed.get(), Err(PoolError::WorkerDied(_))));
}

fn a_terminated_pool_leaves_nothing() {
    for drop_it in [false, true] {
        let pool = pool(2);
        let pids = workers(&pool, 2);
        let results: Vec<_> = (0..10)
            .map(|_| pool.apply_async(run, Do::Sleep(LONG)).unwrap())
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

fn callbacks() {
    let pool = std::sync::Arc::new(pool(2));
    let (sender, results) = channel();
    let (good, bad) = (sender.clone(), sender.clone());
    pool.apply_async_with(
        double,
        4,
        move |n| good.send(n).unwrap(),
        move |_| bad.send(0).unwrap(),
    )
    .unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(8));
    let (good, bad) = (sender.clone(), sender.clone());
    pool.apply_async_with(
        run,
        Do::Die,
        move |_| good.send(0).unwrap(),
        move |_| bad.send(1).unwrap(),
    )
    .unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(1));
    // A callback may submit tasks, but not wait for them.
    let (good, again) = (sender.clone(), std::sync::Arc::downgrade(&pool));
    let submit = move |_| {
        let pool = again.upgrade().unwrap();
        assert!(matches!(pool.apply(double, 1), Err(PoolError::InCallback)));
        let tasks = [Do::Nothing, Do::Nothing];
        let unordered: Vec<_> = pool.imap_unordered(run, tasks, None).unwrap().collect();
        assert!(matches!(unordered[..], [Err(PoolError::InCallback)]));
        let nothing = |_| {};
        let then = move |all: Vec<u64>| good.send(all.len() as u64).unwrap();
        pool.map_async_with(double, [1, 2, 3], None, then, nothing)
            .unwrap();
    };
    pool.apply_async_with(double, 1, submit, |_| {}).unwrap();
    assert_eq!(results.recv_timeout(LONG), Ok(3));
    // Other tasks get their results after a callback panics. (`resume_unwind` does not print the panic.)
    pool.apply_async_with(
        double,
        1,
        |_| std::panic::resume_unwind(Box::new(())),
        |_| {},
    )
    .unwrap();
    assert_eq!(pool.apply(double, 2).unwrap(), 4);
}

fn a_callback_may_own_the_pool() {
    let pool = pool(1);
    let (give, take) = channel::<Pool>();
    let (sender, ended) = channel();
    let join = move |_| {
        let error = take.recv().unwrap().join().unwrap_err();
        sender.send(error.to_string()).unwrap();
    };
    pool.apply_async_with(double, 1, join, |_| {}).unwrap();
    let left = pool.apply_async(run, Do::Sleep(LONG)).unwrap();
    give.send(pool).unwrap();
    let error = ended.recv_timeout(LONG).unwrap();
    assert!(error.starts_with("a callback must not wait"), "{error}");
    assert!(matches!(left.get(), Err(PoolError::Terminated)));
}

fn results_that_have_come_survive_the_end() {
    let pool = pool(1);
    let slow = |_| thread::sleep(6 * MOMENT);
    let first = pool.apply_async_with(double, 1, slow, |_| {}).unwrap();
    let second = pool.apply_async(double, 2).unwrap();
    thread::sleep(3 * MOMENT); // The second task ends too, and its result waits until the callback returns.
    pool.terminate();
    assert_eq!(first.get_timeout(LONG).unwrap(), 2);
    assert!(!matches!(
        second.get_timeout(LONG),
        Err(PoolError::TimedOut)
    ));
}

fn unordered_results_come_as_they_are_done() {
    let pool = pool(2);
    let tasks = [Do::Sleep(10 * MOMENT), Do::Nothing, Do::Fail];
    let results: Vec<_> = pool.imap_unordered(run, tasks, None).unwrap().collect();
    assert_eq!(results.len(), 3);
    assert!(
        results[2].is_ok() && results[..2].iter().filter(|result| result.is_err()).count() == 1
    );
    // Results keep their order within a chunk.
    let tasks = [Do::Nothing, Do::Fail, Do::Panic, Do::Nothing, Do::Fail];
    let results = pool.imap_unordered(run, tasks, Some(5)).unwrap();
    let good: Vec<bool> = results.map(|result| result.is_ok()).collect();
    assert_eq!(good, [true, false, false, true, false]);
    // When a worker dies, each task of its chunk fails.
    let tasks = [Do::Nothing, Do::Fail, Do::Die, Do::Nothing, Do::Nothing];
    let results: Vec<_> = pool.imap_unordered(run, tasks, Some(3)).unwrap().collect();
    let died = |result: &Result<i32, PoolError>| matches!(result, Err(PoolError::WorkerDied(_)));
    assert_eq!(results.iter().filter(|result| died(result)).count(), 3);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    drop(pool.imap_unordered(run, [Do::Nothing; 10], None).unwrap());
}

fn workers_that_do_not_start() {
    let pool = pool(2);
    let pids = workers(&pool, 2);
    let refusal = refusal(process::id());
    fs::write(&refusal, "").unwrap();
    let checked = (|| {
        let error = Pool::with_workers(2).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        ensure!(error.contains("ready (exit code 5)"), "{error}");
        // A pool without workers reports that instead of blocking.
        pids.iter()
            .for_each(|worker| kill_process(pid(*worker), Signal::KILL).unwrap());
        let start = Instant::now();
        while start.elapsed() < LONG {
            match pool
                .apply_async(double, 1)
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
    // The pool retries every second.
    let start = Instant::now();
    while pool.apply(double, 1).is_err() {
        assert!(start.elapsed() < LONG);
        thread::sleep(MOMENT);
    }
    workers(&pool, 2);
}

fn unknown_functions_are_refused() {
    let pool = pool(1);
    let path = "pool::stranger";
    assert!(matches!(pool.apply(stranger, ()), Err(PoolError::UnknownTask(name)) if name == path));
    let error = pool.imap_unordered(stranger, [()], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool::stranger was not given to multiproc::init; call init([task(stranger)]) first in main"
    );
    let error = pool.map(not_a_task, [(); 0], None);
    assert!(matches!(error, Err(PoolError::UnknownTask(_))), "{error:?}");
    // Closures in the same function have the same name.
    init([task(|n: u64| Ok::<u64, String>(n))]);
    let error = pool.apply(|n: u64| Ok::<u64, String>(n + 1), 1);
    assert!(matches!(error, Err(PoolError::UnknownTask(_))), "{error:?}");
    // A worker reports a function that it does not know.
    let error = pool.apply(parents_own, ());
    let Err(PoolError::Channel(reason)) = error else {
        panic!("{error:?}");
    };
    assert!(
        reason.starts_with("the worker does not know pool::parents_own"),
        "{reason}"
    );
}

fn values_that_cannot_travel_are_errors() {
    let pool = pool(1);
    let (reader, _writer) = io::pipe().unwrap();
    let error = pool.apply(take_descriptor, reader.into());
    assert!(
        matches!(&error, Err(PoolError::Channel(reason)) if reason.contains("only as an argument")),
        "{error:?}"
    );
    let error = pool.apply(unwritable, ());
    assert!(
        matches!(&error, Err(PoolError::Channel(reason)) if reason.starts_with("in pool::unwritable: cannot write a ")),
        "{:?}",
        error.err()
    );
}

fn a_task_has_a_pool_of_its_own() {
    let pool = pool(2);
    let results = pool.map(nested, [3, 4], Some(1)).unwrap();
    assert_eq!(results, [vec![0, 2, 4], vec![0, 2, 4, 6]]);
}

fn a_process_without_init_has_no_pool() {
    let again = Command::new(env::current_exe().unwrap())
        .env("FORGETFUL", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&again.stderr);
    assert_eq!(
        text,
        "this process has not called multiproc::init; call it first in main\n"
    );
}
