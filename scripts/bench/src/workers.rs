//! Helpers for the contestants: a timed loop, processes or threads that start at the same moment, pinning, and aligned
//! memory.

use std::io::{self, Read, Write};
use std::sync::{PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytemuck::{Pod, Zeroable};
use multiproc::{Exit, fork};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::case::nanoseconds;

/// Times `operation`, after a warm-up. The operation gets the number of the call, the warm-up included.
// Inlined, so that the operation's counters can stay in registers.
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

/// Shares a value with a forked child although its type is not `Sync`.
struct Copied<T>(T);

// SAFETY: a forked process has a copy of the value, for its only thread.
unsafe impl<T> Sync for Copied<T> {}

impl<T> Copied<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

/// Forks workers, starts them at the same moment, and stops the clock when the last one has reported.
///
/// Each worker warms up, calls its argument, which blocks until all are ready, works, and returns a number. The sum of the
/// numbers is returned with the time.
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
    // Close the write ends here, so that reading ends if all workers die.
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

/// The work of a thread of `threads_together`. Its argument blocks until all threads are ready.
pub type Worker<'a> = dyn FnOnce(&dyn Fn() -> Result<()>) -> Result<u64> + Send + 'a;

/// Does the same as `together` with threads.
pub fn threads_together(workers: Vec<Box<Worker>>) -> Result<(Duration, u64)> {
    let count = workers.len();
    // A worker sends one message when it is ready, and then its result.
    let (say, said) = mpsc::channel::<Result<u64>>();
    let gate = RwLock::new(());
    thread::scope(|scope| {
        // The gate opens even if this function fails, so no thread blocks at it forever.
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
                // Sending fails if this function has failed and dropped the receiver.
                say.send(done).ok();
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            thread.context("start a worker")?;
        }
        // Drop the sender here, so that the channel closes if all workers die.
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

/// Pins this process and all its future children to one of its CPUs.
pub fn pin() -> Result<()> {
    let allowed = sched_getaffinity(None).context("ask for the CPUs")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(last.context("no CPU")?);
    sched_setaffinity(None, &one).context("keep to one CPU")
}

/// A cache line. Memory for bulk copies is aligned to lines: unaligned copies are up to 20 times slower on some machines.
#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Line([u8; 64]);

/// Returns zeroed memory for this many bytes, rounded up to whole lines.
pub fn lines(bytes: usize) -> Vec<Line> {
    vec![Line::zeroed(); bytes.div_ceil(64)]
}
