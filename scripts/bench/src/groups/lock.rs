//! Threads increment a number under its lock.

use std::sync::PoisonError;

use anyhow::{Result, ensure};

use super::counter::fetch_add;
use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, python};
use crate::workers::{Worker, threads_together};

pub const GROUP: Group = Group {
    name: "lock",
    title: "a number is incremented under its lock, in 1 or 2 threads",
    cases: &[
        Case {
            name: "1 thread",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "1", 1_500_000),
                ours(
                    "parking_lot",
                    20_000_000,
                    parking_lot::<1>,
                    &[Over("CPython", 40.0)],
                ),
                ours("std", 20_000_000, std::<1>, &[Over("CPython", 40.0)]),
                limit("fetch_add", 50_000_000, fetch_add),
            ],
        },
        Case {
            name: "2 threads",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "2", 1_500_000),
                ours(
                    "parking_lot",
                    10_000_000,
                    parking_lot::<2>,
                    &[Over("CPython", 30.0)],
                ),
                ours("std", 4_000_000, std::<2>, &[]),
                limit("fetch_add", 50_000_000, fetch_add),
            ],
        },
    ],
};

/// Times `THREADS` threads that increment `count` times in all. `total` returns the number at the end.
fn time<const THREADS: usize>(
    count: u64,
    increment: impl Fn() + Sync,
    total: impl FnOnce() -> u64,
) -> Result<f64> {
    let share = count.div_ceil(THREADS as u64);
    let warm_up = share.div_ceil(10);
    let worker = |_| -> Box<Worker> {
        Box::new(|start| {
            (0..warm_up).for_each(|_| increment());
            start()?;
            (0..share).for_each(|_| increment());
            Ok(warm_up + share)
        })
    };
    let (elapsed, sum) = threads_together((0..THREADS).map(worker).collect())?;
    let total = total();
    ensure!(total == sum, "the number is {total} after {sum} increments");
    Ok(nanoseconds(elapsed, share * THREADS as u64))
}

fn parking_lot<const THREADS: usize>(count: u64) -> Result<f64> {
    let counter = parking_lot::Mutex::new(0);
    time::<THREADS>(count, || *counter.lock() += 1, || *counter.lock())
}

fn std<const THREADS: usize>(count: u64) -> Result<f64> {
    let counter = std::sync::Mutex::new(0);
    let lock = || counter.lock().unwrap_or_else(PoisonError::into_inner);
    time::<THREADS>(count, || *lock() += 1, || *lock())
}
