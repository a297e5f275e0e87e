//! What the contestants share: processes that start at the same moment, a pinned process, aligned memory.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytemuck::{Pod, Zeroable};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::multiprocessing::{Exit, fork};

/// Forks workers, lets them go at the same moment when all are ready, and stops the clock when the last has reported.
/// Each warms up, calls what it is given, works, and returns a number; the sum of those is returned with the time.
pub fn together(
    count: usize,
    work: impl Fn(usize, &dyn Fn() -> Result<()>) -> Result<u64>,
) -> Result<(Duration, u64)> {
    let (mut ready, is_ready) = io::pipe().context("make a pipe")?;
    let (gate, mut opener) = io::pipe().context("make a pipe")?;
    let (mut reports, report) = io::pipe().context("make a pipe")?;
    let mut workers = Vec::new();
    for index in 0..count {
        workers.push(fork(|| {
            let start = || {
                (&is_ready)
                    .write_all(&[0])
                    .context("say that it is ready")?;
                (&gate).read_exact(&mut [0]).context("wait for the start")
            };
            let number = work(index, &start)?;
            (&report)
                .write_all(&number.to_le_bytes())
                .context("report")?;
            Ok(0)
        })?);
    }
    // If all workers die, the ends of the pipes tell.
    drop((is_ready, report));
    ready
        .read_exact(&mut vec![0; count])
        .context("wait for the workers to be ready")?;
    let start = Instant::now();
    opener
        .write_all(&vec![0; count])
        .context("start the workers")?;
    let mut sum = 0_u64;
    for _ in 0..count {
        let mut number = [0; 8];
        reports.read_exact(&mut number).context("read a report")?;
        sum = sum.wrapping_add(u64::from_le_bytes(number));
    }
    let elapsed = start.elapsed();
    for worker in workers {
        let exit = worker.join()?;
        ensure!(exit == Exit::Code(0), "a worker failed: {exit}");
    }
    Ok((elapsed, sum))
}

/// Keeps this process, and all that it starts, on one of its CPUs.
pub fn pin() -> Result<()> {
    let allowed = sched_getaffinity(None).context("ask for the CPUs")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(last.context("no CPU")?);
    sched_setaffinity(None, &one).context("keep to one CPU")
}

/// Bulk memory begins at a multiple of its size: a copy between some other places is 20 times slower on some machines.
#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Line([u8; 64]);

/// Zeroed memory for so many bytes, rounded up to whole lines.
pub fn lines(bytes: usize) -> Vec<Line> {
    vec![Line::zeroed(); bytes.div_ceil(64)]
}
