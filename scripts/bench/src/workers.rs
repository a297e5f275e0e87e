//! What the contestants share: a timed loop, processes or threads that start at the same moment, a pinned process,
//! aligned memory.

use std::io::{self, Read, Write};
use std::sync::{PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytemuck::{Pod, Zeroable};
use multiproc::{Exit, fork};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::case::nanoseconds;

/// Times `operation`, after a warm-up. It is told which time this is, the warm-up included.
// Inlined, so that what the operation counts can stay in registers.
#[inline(always)]
pub fn time(count: u64, mut operation: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let warm_up = count.div_ceil(10);
    for number in 0..warm_up {
        operation(number)?;
    }
    let begin = Instant::now();
    for number in warm_up..warm_up + count {
        operation(number)?;
    }
    Ok(nanoseconds(begin.elapsed(), count))
}

/// What peer crates share between processes need not be shareable between threads.
struct Copied<T>(T);

// SAFETY: a forked process has a copy of it, for its only thread.
unsafe impl<T> Sync for Copied<T> {}

impl<T> Copied<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

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
    let work = Copied(work);
    for index in 0..count {
        workers.push(fork(|| -> Result<()> {
            let start = || {
                (&is_ready)
                    .write_all(&[0])
                    .context("say that it is ready")?;
                (&gate).read_exact(&mut [0]).context("wait for the start")
            };
            let number = work.get()(index, &start)?;
            (&report).write_all(&number.to_le_bytes()).context("report")
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

/// What a thread of `threads_together` does; it is given what it calls when it is ready.
pub type Worker<'a> = dyn FnOnce(&dyn Fn() -> Result<()>) -> Result<u64> + Send + 'a;

/// The same with threads.
pub fn threads_together(workers: Vec<Box<Worker>>) -> Result<(Duration, u64)> {
    let count = workers.len();
    // A worker says that it is ready, and then what its work has come to.
    let (say, said) = mpsc::channel::<Result<u64>>();
    let gate = RwLock::new(());
    thread::scope(|scope| {
        // It opens also if this fails, so that nobody waits there for ever.
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        for work in workers {
            let (say, gate) = (say.clone(), &gate);
            let run = move || {
                let start = || {
                    say.send(Ok(0)).context("say that it is ready")?;
                    drop(gate.read().unwrap_or_else(PoisonError::into_inner));
                    Ok(())
                };
                let done = work(&start);
                // After a failure nobody listens any more.
                say.send(done).ok();
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            thread.context("start a worker")?;
        }
        // If all workers die, the end of the channel tells.
        drop(say);
        let hear = || said.recv().context("wait for the workers")?;
        for _ in 0..count {
            hear()?;
        }
        let begin = Instant::now();
        drop(closed);
        let mut sum = 0_u64;
        for _ in 0..count {
            sum = sum.wrapping_add(hear()?);
        }
        Ok((begin.elapsed(), sum))
    })
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
