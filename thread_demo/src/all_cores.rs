//! The same work, first one after the other, then on two threads: in Rust they share the work, in Python they take turns.
//!
//! Python:  two `Thread`s that compute, which take turns on one core because of the GIL
//! Notes:   the GIL does not switch every 100 byte codes but every 5 ms; and a build of CPython without it exists.
//! Differs: with two cores free, expect a speedup near 2 here and near 1 on CPython. On a busy machine nobody can promise
//!          either, so the trace asks for the results and the arithmetic, and the speedup is for you to read.
//! Order:   the results come in the order of the threads, whoever is first.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

const STEPS: u32 = 5_000_000;

pub fn main() -> Result<()> {
    let begun = Instant::now();
    let (first, second) = (work(1), work(2));
    let in_turn = begun.elapsed().as_secs_f64();
    println!("one after the other: {first} and {second} in {in_turn:.6} seconds");

    let begun = Instant::now();
    let threads = [1, 2].map(|seed| thread::spawn(move || work(seed)));
    let [first, second] = threads.map(|thread| thread.join().map_err(|_| anyhow!("a panic")));
    let (first, second) = (first?, second?);
    let at_once = begun.elapsed().as_secs_f64();
    println!("on two threads: {first} and {second} in {at_once:.6} seconds");

    println!("speedup {:.3}", in_turn / at_once);
    Ok(())
}

/// Steps of a random generator, each of which needs the one before.
fn work(seed: u64) -> u64 {
    (0..STEPS).fold(seed, |x, _| (x * 1_103_515_245 + 12_345) % (1 << 31))
}
