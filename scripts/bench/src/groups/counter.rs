//! A shared number is incremented under its lock.

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use multiproc::{Shared, Value};
use raw_sync::locks::{LockInit, Mutex};
use rustix::shm;
use shared_memory::ShmemConf;

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, peer, python};
use crate::workers::together;

pub const GROUP: Group = Group {
    name: "counter",
    title: "a shared number is incremented under its lock, in 1 or 2 processes",
    cases: &[
        Case {
            name: "1 process",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "1", 60_000),
                peer("raw_sync", 3_000_000, raw_sync_mutex::<1>),
                ours("Value", 3_000_000, value::<1>, &[Over("CPython", 60.0)]),
                ours("AtomicI64", 10_000_000, atomic::<1>, &[]),
                limit("fetch_add", 10_000_000, fetch_add),
            ],
        },
        Case {
            name: "2 processes",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "2", 40_000),
                peer("raw_sync", 1_000_000, raw_sync_mutex::<2>),
                ours("Value", 1_000_000, value::<2>, &[Over("CPython", 50.0)]),
                ours("AtomicI64", 5_000_000, atomic::<2>, &[]),
                limit("fetch_add", 10_000_000, fetch_add),
            ],
        },
    ],
};

/// Times `PROCESSES` processes that increment `count` times in all. `total` returns the number at the end.
fn time<const PROCESSES: usize>(
    count: u64,
    increment: impl Fn() -> Result<()>,
    total: impl FnOnce() -> Result<i64>,
) -> Result<f64> {
    let share = count.div_ceil(PROCESSES as u64);
    let warm_up = share.div_ceil(10);
    let (elapsed, sum) = together(PROCESSES, |_, start| {
        (0..warm_up).try_for_each(|_| increment())?;
        start()?;
        (0..share).try_for_each(|_| increment())?;
        Ok(warm_up + share)
    })?;
    let total = total()?;
    ensure!(
        u64::try_from(total) == Ok(sum),
        "the number is {total} after {sum} increments"
    );
    Ok(nanoseconds(elapsed, share * PROCESSES as u64))
}

fn value<const PROCESSES: usize>(count: u64) -> Result<f64> {
    let number = Value::new(0_i64)?;
    let increment = || {
        *number.lock()? += 1;
        Ok(())
    };
    time::<PROCESSES>(count, increment, || Ok(number.get()?))
}

fn atomic<const PROCESSES: usize>(count: u64) -> Result<f64> {
    let number = Shared::new(AtomicI64::new(0))?;
    let increment = || {
        number.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    time::<PROCESSES>(count, increment, || Ok(number.load(Ordering::Relaxed)))
}

fn raw_sync_mutex<const PROCESSES: usize>(count: u64) -> Result<f64> {
    let mut shmem = ShmemConf::new()
        .size(4096)
        .create()
        .context("make shared memory")?;
    // Unlink the name at once, so that a killed process leaves nothing behind.
    shm::unlink(shmem.get_os_id()).context("unlink shared memory")?;
    shmem.set_owner(false);
    let memory = shmem.as_ptr();
    // SAFETY: the memory is a page, so its second line is inside it.
    let data = unsafe { memory.add(64) };
    // SAFETY: the memory is new, zeroed and page-aligned, a mutex is shorter than a line, and it stays until the end.
    let made = unsafe { Mutex::new(memory, data) };
    let (mutex, _) = made.map_err(|error| anyhow!("make a mutex: {error}"))?;
    let change = |by: i64| {
        let guard = mutex.lock().map_err(|error| anyhow!("lock: {error}"))?;
        let number = guard.cast::<i64>();
        // SAFETY: the memory holds a zeroed number, and the lock gives exclusive access to it.
        let number = unsafe { &mut *number };
        *number += by;
        Ok(*number)
    };
    time::<PROCESSES>(count, || change(1).map(drop), || change(0))
}

pub fn fetch_add(count: u64) -> Result<f64> {
    let number = AtomicI64::new(0);
    let begin = Instant::now();
    for _ in 0..count {
        black_box(&number).fetch_add(1, Ordering::Relaxed);
    }
    let elapsed = begin.elapsed();
    let total = number.into_inner();
    ensure!(u64::try_from(total) == Ok(count), "the number is {total}");
    Ok(nanoseconds(elapsed, count))
}
