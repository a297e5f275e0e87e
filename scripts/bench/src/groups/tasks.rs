//! Tasks: start many and gather their numbers, yield to other tasks, call a function soon.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_demo::runtime::EventLoop;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, nanoseconds, ours, peer, python};

/// The number of tasks that are gathered at once.
const TASKS: u64 = 100_000;

/// The most callbacks that wait at a time.
const BATCH: u64 = 1000;

pub const GROUP: Group = Group {
    name: "tasks",
    title: "a task that is started and gathered, a sleep(0), a callback",
    cases: &[
        Case {
            name: "gather 100k",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "asyncio gather 100000", 1),
                python("uvloop", "uvloop gather 100000", 1)
                    .of("uvloop")
                    .among_peers(),
                peer("tokio multi-thread", 4, |count| {
                    gather(multi_thread()?, count)
                }),
                ours(
                    "tokio current-thread",
                    8,
                    |count| gather(current_thread()?, count),
                    &[Over("asyncio", 18.0)],
                ),
                ours("EventLoop", 24, gather_own, &[Over("asyncio", 55.0)]),
            ],
        },
        Case {
            name: "sleep(0), 1 task",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "asyncio sleep 1", 40_000),
                python("uvloop", "uvloop sleep 1", 100_000)
                    .of("uvloop")
                    .among_peers(),
                peer("tokio multi-thread", 1_000_000, |count| {
                    sleep::<1>(multi_thread()?, count)
                }),
                peer("tokio, no drivers", 3_000_000, |count| {
                    sleep::<1>(without_drivers()?, count)
                }),
                ours(
                    "tokio current-thread",
                    1_000_000,
                    |count| sleep::<1>(current_thread()?, count),
                    &[Over("asyncio", 25.0)],
                ),
                ours("EventLoop", 8_000_000, sleep_own::<1>, &[]),
            ],
        },
        Case {
            name: "sleep(0), 100 tasks",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "asyncio sleep 100", 160_000),
                python("uvloop", "uvloop sleep 100", 240_000)
                    .of("uvloop")
                    .among_peers(),
                peer("tokio multi-thread", 3_000_000, |count| {
                    sleep::<100>(multi_thread()?, count)
                }),
                peer("tokio, no drivers", 6_000_000, |count| {
                    sleep::<100>(without_drivers()?, count)
                }),
                ours(
                    "tokio current-thread",
                    6_000_000,
                    |count| sleep::<100>(current_thread()?, count),
                    &[Over("asyncio", 35.0)],
                ),
                ours("EventLoop", 12_000_000, sleep_own::<100>, &[]),
            ],
        },
        Case {
            name: "call_soon",
            unit: Unit::Time,
            contestants: &[
                python("asyncio", "asyncio call_soon 1", 400_000),
                python("uvloop", "uvloop call_soon 1", 800_000)
                    .of("uvloop")
                    .among_peers(),
                peer("tokio multi-thread", 800_000, |count| {
                    call_soon(multi_thread()?, count)
                }),
                ours(
                    "tokio current-thread",
                    1_600_000,
                    |count| call_soon(current_thread()?, count),
                    &[],
                ),
                ours(
                    "EventLoop",
                    8_000_000,
                    call_soon_own,
                    &[Over("asyncio", 15.0)],
                ),
            ],
        },
    ],
};

/// Returns the runtime that `#[tokio::main(flavor = "current_thread")]` makes.
pub fn current_thread() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("make a runtime")
}

/// Returns the same runtime without files, sockets and time, so that it only runs tasks.
fn without_drivers() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().build();
    runtime.context("make a runtime")
}

/// Returns the runtime that `#[tokio::main]` makes.
pub fn multi_thread() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.context("make a runtime")
}

/// Times `run`, which gets the number of operations, after a warm-up.
pub fn time(count: u64, run: impl Fn(u64) -> Result<()>) -> Result<f64> {
    run(count.div_ceil(10))?;
    let begin = Instant::now();
    run(count)?;
    Ok(nanoseconds(begin.elapsed(), count))
}

/// Returns the sizes of the parts of `count`.
fn parts(count: u64, size: u64) -> impl Iterator<Item = u64> {
    let begins = (0..count).step_by(size as usize);
    begins.map(move |begin| size.min(count - begin))
}

fn check(sum: u64, expected: u64) -> Result<()> {
    ensure!(sum == expected, "the sum is {sum}, not {expected}");
    Ok(())
}

/// Gathers `TASKS` tasks, `count` times.
fn gather(runtime: Runtime, count: u64) -> Result<f64> {
    time(count * TASKS, |count| {
        runtime.block_on(async {
            for tasks in parts(count, TASKS) {
                let number = |n| tokio::spawn(async move { black_box(n) });
                let tasks: Vec<_> = (0..tasks).map(number).collect();
                let (mut sum, expected) = (0, (0..tasks.len() as u64).sum());
                for task in tasks {
                    sum += task.await.context("wait for a task")?;
                }
                check(sum, expected)?;
            }
            Ok(())
        })
    })
}

fn gather_own(count: u64) -> Result<f64> {
    let event_loop = EventLoop::new();
    let figure = time(count * TASKS, |count| {
        let this = event_loop.clone();
        event_loop.run_until_complete(async move {
            for tasks in parts(count, TASKS) {
                let number = |n| this.create_task(async move { black_box(n) });
                let tasks = (0..tasks).map(number).collect::<Result<Vec<_>, _>>()?;
                let (mut sum, expected) = (0, (0..tasks.len() as u64).sum());
                for task in tasks {
                    sum += task.await.context("a task was cancelled")?;
                }
                check(sum, expected)?;
            }
            Ok(())
        })?
    })?;
    event_loop.close()?;
    Ok(figure)
}

/// `TASKS` tasks sleep `count` times in all.
fn sleep<const TASKS: u64>(runtime: Runtime, count: u64) -> Result<f64> {
    let figure = time(count.div_ceil(TASKS), |share| {
        runtime.block_on(async {
            let sleeper = |_| {
                tokio::spawn(async move {
                    let mut slept = 0;
                    for _ in 0..share {
                        yield_now().await;
                        slept += 1;
                    }
                    slept
                })
            };
            let sleepers: Vec<_> = (0..TASKS).map(sleeper).collect();
            let mut sum = 0;
            for sleeper in sleepers {
                sum += sleeper.await.context("wait for a task")?;
            }
            check(sum, share * TASKS)
        })
    })?;
    Ok(figure / TASKS as f64)
}

fn sleep_own<const TASKS: u64>(count: u64) -> Result<f64> {
    let event_loop = EventLoop::new();
    let figure = time(count.div_ceil(TASKS), |share| {
        let this = event_loop.clone();
        event_loop.run_until_complete(async move {
            let sleeper = |_| {
                let event_loop = this.clone();
                this.create_task(async move {
                    let mut slept = 0;
                    for _ in 0..share {
                        event_loop.sleep(Duration::ZERO).await;
                        slept += 1;
                    }
                    slept
                })
            };
            let sleepers = (0..TASKS).map(sleeper).collect::<Result<Vec<_>, _>>()?;
            let mut sum = 0;
            for sleeper in sleepers {
                sum += sleeper.await.context("a task was cancelled")?;
            }
            check(sum, share * TASKS)
        })?
    })?;
    event_loop.close()?;
    Ok(figure / TASKS as f64)
}

/// Starts a task for each callback: tokio has no callbacks.
fn call_soon(runtime: Runtime, count: u64) -> Result<f64> {
    time(count, |count| {
        let calls = Arc::new(AtomicU64::new(0));
        runtime.block_on(async {
            for batch in parts(count, BATCH) {
                for _ in 0..batch {
                    let calls = Arc::clone(&calls);
                    tokio::spawn(async move { calls.fetch_add(1, Ordering::Relaxed) });
                }
                yield_now().await;
            }
            // One yield does not wait until all tasks have run.
            while calls.load(Ordering::Relaxed) < count {
                yield_now().await;
            }
        });
        check(calls.load(Ordering::Relaxed), count)
    })
}

fn call_soon_own(count: u64) -> Result<f64> {
    let event_loop = EventLoop::new();
    let figure = time(count, |count| {
        let this = event_loop.clone();
        event_loop.run_until_complete(async move {
            let calls = Rc::new(Cell::new(0));
            for batch in parts(count, BATCH) {
                for _ in 0..batch {
                    let calls = Rc::clone(&calls);
                    this.call_soon(move |_| calls.set(calls.get() + 1))?;
                }
                this.sleep(Duration::ZERO).await;
            }
            check(calls.get(), count)
        })?
    })?;
    event_loop.close()?;
    Ok(figure)
}
