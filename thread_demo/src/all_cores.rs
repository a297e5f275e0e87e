//! Do the same work in turn and on several threads, and compare the times.
//!
//! Python:  `Thread`s that compute, which take turns on one core because of the GIL
//! Differs: with two cores free, expect a speedup near 2 here and near 1 on CPython. On a busy machine neither is certain, so
//!          the trace checks the results and the arithmetic. Each way is timed three times, and the shortest time counts.
//!          The notes say that the GIL switches every 100 byte codes; today it switches every 5 ms, and there is a build
//!          of CPython without it.
//! Order:   the results come in the order of the threads, whichever finishes first.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const SECOND: Duration = Duration::from_millis(100);
const STEPS: u32 = 1_000_000;
const THREADS: u64 = 2;

pub fn main() -> Result<()> {
    let (results, in_turn) = shortest(|| Ok((1..=THREADS).map(work).collect()))?;
    println!("in turn: {results:?} in {in_turn:.6} seconds");

    let (results, at_once) = shortest(on_threads)?;
    println!("on {THREADS} threads: {results:?} in {at_once:.6} seconds");

    println!("speedup {:.3}", in_turn / at_once);
    Ok(())
}

fn on_threads() -> Result<Vec<u64>> {
    let threads: Vec<_> = (1..=THREADS)
        .map(|seed| thread::spawn(move || work(seed)))
        .collect();
    let join = |thread: thread::JoinHandle<u64>| thread.join();
    let results = threads.into_iter().map(join).collect::<Result<_, _>>();
    results.map_err(|_| anyhow!("a thread panicked"))
}

/// Computes steps of a random generator, each of which needs the one before.
fn work(seed: u64) -> u64 {
    (0..STEPS).fold(black_box(seed), |x, _| (x * x + 12_345) % 2_147_483_647)
}

/// Returns the results, and the shortest of three times. Without the black boxes, here and in `work`, the optimizer could
/// do the work once for all runs, or outside the measured time.
fn shortest(works: impl Fn() -> Result<Vec<u64>>) -> Result<(Vec<u64>, f64)> {
    let (mut results, mut seconds) = (vec![], f64::INFINITY);
    for _ in 0..3 {
        let begun = Instant::now();
        results = black_box(works()?);
        seconds = seconds.min(begun.elapsed().as_secs_f64() / SECOND.as_secs_f64());
    }
    Ok((results, seconds))
}
