//! Count in four processes: with a lock nothing is lost, without it updates are.
//!
//! Python:  `with n.get_lock(): n.value += 1`, and `n.value += 1` alone
//! Differs: Rust code cannot forget the lock of a `Value`. The unlocked counter is an atomic that is loaded and stored
//!          in two steps, which is what `+=` does in Python; `fetch_add` would lose nothing.
//! Order:   the locked total is exact; the number of updates that the unlocked counter loses is random.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use multiproc::{Shared, Value, fork};

const PROCESSES: i64 = 4;
const INCREMENTS: i64 = 100_000;

pub fn main() -> Result<()> {
    let locked = Value::new(0_i64)?;
    let unlocked = Shared::new(AtomicI64::new(0))?;
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        children.push(fork(|| count(&locked, &unlocked))?);
    }
    for child in children {
        let exit = child.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    println!("{PROCESSES} processes, {INCREMENTS} increments each");
    println!("with the lock {}", locked.get()?);
    println!("without the lock {}", unlocked.load(Ordering::Relaxed));
    Ok(())
}

fn count(locked: &Value<i64>, unlocked: &AtomicI64) -> Result<()> {
    for i in 0..INCREMENTS {
        *locked.lock()? += 1;
        let n = unlocked.load(Ordering::Relaxed);
        if i % 1000 == 0 {
            // Lets another process run between the two steps. Without it the loss is rare, but not gone.
            thread::yield_now();
        }
        unlocked.store(n + 1, Ordering::Relaxed);
    }
    Ok(())
}
