//! Sieve the primes below 100,000 in four processes that share the array.
//!
//! Python:  `Array('b', LIMIT, lock=False)`, `Value('i', 2)` with its lock
//! Differs: the array needs no lock: its bits are set by atomic operations. Python has none, so its array has a
//!          byte per number, which changes only from 0 to 1.
//! Order:   any. Crossing out a number twice, or in another order, gives the same primes.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Result, ensure};
use multiproc::{Shared, Value, fork};

const PROCESSES: usize = 4;
const LIMIT: usize = 100_000;

/// A bit for each number.
type Composite = [AtomicU64; LIMIT.div_ceil(64)];

pub fn main() -> Result<()> {
    let composite = Shared::new([const { AtomicU64::new(0) }; LIMIT.div_ceil(64)])?;
    let next = Value::new(2_usize)?;
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        children.push(fork(|| sieve(&composite, &next))?);
    }
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    let primes = || (2..LIMIT).filter(|n| !is_composite(&composite, *n));
    let (count, last) = (primes().count(), primes().next_back().unwrap_or(0));
    println!(
        "main process {}: {count} primes, the last is {last}",
        process::id()
    );
    Ok(())
}

/// Takes numbers that no other process has taken, and crosses out their multiples.
fn sieve(composite: &Composite, next: &Value<usize>) -> Result<()> {
    let mut taken = 0;
    loop {
        let number = {
            let mut next = next.lock()?;
            *next += 1;
            *next - 1
        };
        if number * number >= LIMIT {
            println!("child process {} took {taken} numbers", process::id());
            return Ok(());
        }
        taken += 1;
        if !is_composite(composite, number) {
            for multiple in (number * number..LIMIT).step_by(number) {
                composite[multiple / 64].fetch_or(1 << (multiple % 64), Relaxed);
            }
        }
    }
}

fn is_composite(composite: &Composite, number: usize) -> bool {
    composite[number / 64].load(Relaxed) & (1 << (number % 64)) != 0
}
