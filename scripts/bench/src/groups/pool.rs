//! Tasks for two workers, so small that only the transport counts, or so large that only the work counts.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{ptr, slice};

use anyhow::{Context, Result, ensure};
use multiproc::Pool;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::case::Goal::Over;
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, peer, python};
use crate::workers::together;

const WORKERS: usize = 2;

pub const GROUP: Group = Group {
    name: "pool",
    title: "tasks for two workers: add one to a number, or calculate for a while",
    cases: &[
        Case {
            name: "tiny, chunk 1",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "chunk 1", 5000),
                peer("procspawn", 3000, procspawn_tiny),
                peer("rayon", 400_000, |count| rayon_tiny(count, 1)),
                ours(
                    "ring",
                    100_000,
                    |count| tiny(count, Some(1)),
                    &[Over("CPython", 40.0), Over("procspawn", 10.0)],
                ),
                limit("shared index", 2_000_000, shared_index),
            ],
        },
        Case {
            name: "tiny, default chunk",
            unit: Unit::Time,
            contestants: &[
                python("CPython", "default chunk", 300_000),
                peer("rayon", 4_000_000, |count| rayon_tiny(count, usize::MAX)),
                ours(
                    "ring",
                    1_000_000,
                    |count| tiny(count, None),
                    &[Over("CPython", 12.0)],
                ),
                limit("shared index", 2_000_000, shared_index),
            ],
        },
        Case {
            name: "2 workers for 1",
            unit: Unit::SpeedUp,
            contestants: &[
                python("CPython", "cpu", 160_000),
                peer("rayon", 16_000_000, rayon_speed_up),
                ours("ring", 16_000_000, speed_up, &[Over("2 forks", 0.8)]),
                limit("2 forks", 16_000_000, forks_speed_up),
            ],
        },
    ],
};

pub fn add_one(number: u64) -> Result<u64, Infallible> {
    Ok(number + 1)
}

/// The most numbers of one map. With more, the figure would be the time to fill fresh memory.
const LONGEST: u64 = 100_000;

/// Times maps over `count` numbers together, after a warm-up.
fn time(count: u64, mut map: impl FnMut(u64) -> Result<Vec<u64>>) -> Result<f64> {
    let maps = count.div_ceil(LONGEST);
    let length = count.div_ceil(maps);
    map(length.div_ceil(10))?;
    let mut elapsed = Duration::ZERO;
    for _ in 0..maps {
        let begin = Instant::now();
        let results = map(length)?;
        elapsed += begin.elapsed();
        ensure!(results.into_iter().eq(1..=length), "a wrong result");
    }
    Ok(nanoseconds(elapsed, maps * length))
}

fn tiny(count: u64, chunksize: Option<usize>) -> Result<f64> {
    let pool = Pool::with_workers(WORKERS)?;
    time(count, |count| Ok(pool.map(add_one, 0..count, chunksize)?))
}

fn procspawn_tiny(count: u64) -> Result<f64> {
    // In the workers it does not return.
    procspawn::init();
    let pool = procspawn::Pool::new(WORKERS).context("make a pool")?;
    time(count, |count| {
        let numbers: Vec<u64> = (0..count).collect();
        let mut results = vec![];
        // A waiting task takes two descriptors, and the limit may be a thousand.
        for numbers in numbers.chunks(64) {
            let spawn = |number: &u64| pool.spawn(*number, |number| number + 1);
            for handle in numbers.iter().map(spawn).collect::<Vec<_>>() {
                results.push(handle.join().context("a task failed")?);
            }
        }
        Ok(results)
    })
}

fn threads(count: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(count).build();
    pool.context("start threads")
}

fn rayon_tiny(count: u64, longest: usize) -> Result<f64> {
    let pool = threads(WORKERS)?;
    time(count, |count| {
        let numbers: Vec<u64> = (0..count).collect();
        Ok(pool.install(|| {
            let numbers = numbers.into_par_iter().with_max_len(longest);
            numbers.map(|number| black_box(number) + 1).collect()
        }))
    })
}

/// Forked workers take indices from a shared number and write their results to shared memory.
fn shared_index(count: u64) -> Result<f64> {
    let length = 1 + count as usize;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses overlaps no other.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), 8 * length, access, MapFlags::SHARED) };
    let memory = memory.context("map shared memory")?.cast::<AtomicU64>();
    // SAFETY: the mapping has `length` zeroed numbers until the process ends, and they are used only as atomics.
    let numbers = unsafe { slice::from_raw_parts(memory, length) };
    let (next, results) = (&numbers[0], &numbers[1..]);
    let (elapsed, done) = together(WORKERS, |_, start| {
        start()?;
        for done in 0.. {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = results.get(index as usize) else {
                return Ok(done);
            };
            result.store(index + 1, Ordering::Relaxed);
        }
        Ok(0)
    })?;
    let results = results.iter().map(|result| result.load(Ordering::Relaxed));
    ensure!(done == count && results.eq(1..=count), "a wrong result");
    Ok(nanoseconds(elapsed, count))
}

/// The number of tasks of the last case.
pub const TASKS: u64 = 8;

/// A task of the last case.
pub fn calculation((seed, steps): (u64, u64)) -> Result<u64, Infallible> {
    Ok(calculate(seed, steps))
}

/// Calculates for a while. Each step needs the result of the one before.
pub fn calculate(seed: u64, steps: u64) -> u64 {
    (0..steps).fold(seed, |number, step| {
        number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(black_box(step))
    })
}

/// Returns how many times faster `run` is with two workers than with one. `run` gets the number of workers and the
/// steps of a task, and returns the time and the sum of the results.
pub fn compare(
    steps: u64,
    mut run: impl FnMut(usize, u64) -> Result<(Duration, u64)>,
) -> Result<f64> {
    let expected = (0..TASKS).fold(0_u64, |sum, seed| sum.wrapping_add(calculate(seed, steps)));
    let mut times = [Duration::ZERO; 2];
    // Alternate the two, so that other programs slow both equally.
    for _ in 0..2 {
        for (time, workers) in times.iter_mut().zip([1, 2]) {
            let (elapsed, sum) = run(workers, steps)?;
            ensure!(sum == expected, "a wrong result");
            *time += elapsed;
        }
    }
    Ok(times[0].as_secs_f64() / times[1].as_secs_f64())
}

fn tasks(steps: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..TASKS).map(move |seed| (seed, steps))
}

pub fn sum(results: impl IntoIterator<Item = u64>) -> u64 {
    results.into_iter().fold(0, u64::wrapping_add)
}

fn speed_up(steps: u64) -> Result<f64> {
    let pools = [Pool::with_workers(1)?, Pool::with_workers(2)?];
    compare(steps, |workers, steps| {
        let begin = Instant::now();
        let results = pools[workers - 1].map(calculation, tasks(steps), Some(1))?;
        Ok((begin.elapsed(), sum(results)))
    })
}

pub fn rayon_speed_up(steps: u64) -> Result<f64> {
    let pools = [threads(1)?, threads(2)?];
    compare(steps, |workers, steps| {
        let tasks: Vec<(u64, u64)> = tasks(steps).collect();
        let begin = Instant::now();
        let results: Vec<u64> = pools[workers - 1].install(|| {
            tasks
                .into_par_iter()
                .with_max_len(1)
                .map(|(seed, steps)| calculate(seed, steps))
                .collect()
        });
        Ok((begin.elapsed(), sum(results)))
    })
}

pub fn forks_speed_up(steps: u64) -> Result<f64> {
    compare(steps, |workers, steps| {
        together(workers, |index, start| {
            start()?;
            let own = (index as u64..TASKS).step_by(workers);
            Ok(sum(own.map(|seed| calculate(seed, steps))))
        })
    })
}
