//! The same work, first one after the other, then on two threads: in Rust they share the work, in Python they take turns.
//!
//! Python:  two `Thread`s that compute, which take turns on one core because of the GIL
//! Notes:   the GIL does not switch every 100 byte codes but every 5 ms; and a build of CPython without it exists.
//! Differs: with two cores free, expect a speedup near 2 here and near 1 on CPython. On a busy machine nobody can promise
//!          either, so the trace asks for the results and the arithmetic, and the speedup is for you to read.
//!          Each way is timed three times, and the shortest time counts.
//! Order:   the results come in the order of the threads, whoever is first.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

const STEPS: u32 = 1_000_000;

pub fn main() -> Result<()> {
    let (results, in_turn) = shortest(|| Ok([1, 2].map(work)))?;
    println!("one after the other: {results:?} in {in_turn:.6} seconds");

    let (results, at_once) = shortest(on_two_threads)?;
    println!("on two threads: {results:?} in {at_once:.6} seconds");

    println!("speedup {:.3}", in_turn / at_once);
    Ok(())
}

fn on_two_threads() -> Result<[u64; 2]> {
    let [first, second] = [1, 2].map(|seed| thread::spawn(move || work(seed)));
    let panicked = |_| anyhow!("a thread panicked");
    Ok([
        first.join().map_err(panicked)?,
        second.join().map_err(panicked)?,
    ])
}

/// Steps of a random generator, each of which needs the one before.
fn work(seed: u64) -> u64 {
    (0..STEPS).fold(black_box(seed), |x, _| (x * x + 12_345) % 2_147_483_647)
}

/// The results, and the shortest of three times in seconds. Without the black boxes, here and in `work`, the optimizer would
/// do the work once for all, and not between the two looks at the clock.
fn shortest(works: impl Fn() -> Result<[u64; 2]>) -> Result<([u64; 2], f64)> {
    let (mut results, mut seconds) = ([0; 2], f64::INFINITY);
    for _ in 0..3 {
        let begun = Instant::now();
        results = black_box(works()?);
        seconds = seconds.min(begun.elapsed().as_secs_f64());
    }
    Ok((results, seconds))
}
