//! Four processes count to ten thousand each: under the lock nothing is lost, without it updates are.
//!
//! Python:  `with n.get_lock(): n.value += 1`, and `n.value += 1` alone
//! Differs: Rust has no way to read and write shared memory without a lock by mistake. The unlocked counter here is an
//!          atomic, loaded and stored in two steps, which is what `+=` does; `fetch_add` would lose nothing.
//! Order:   how many updates are lost is chance; that the locked total is exact is not.
//! Needs:   fork_demo/multiprocessing.rs, robust.rs, shared.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["fs", "process", "shm"] }
//! shared_memory = "0.12"
//! ```

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};

use crate::multiprocessing::{Exit, fork};
use crate::shared::{Shared, Value};

const PROCESSES: i64 = 4;
const INCREMENTS: i64 = 10_000;

pub fn main() -> Result<()> {
    let locked = Value::new(0_i64)?;
    let unlocked = Shared::new(AtomicI64::new(0))?;
    let children = (0..PROCESSES)
        .map(|_| fork(|| count(&locked, &unlocked)))
        .collect::<Result<Vec<_>>>()?;
    for child in children {
        let exit = child.join()?;
        ensure!(exit == Exit::Code(0), "a child failed: {exit}");
    }
    println!("{PROCESSES} processes, {INCREMENTS} increments each");
    println!("with the lock {}", locked.get()?);
    println!("without the lock {}", unlocked.load(Ordering::Relaxed));
    Ok(())
}

fn count(locked: &Value<i64>, unlocked: &AtomicI64) -> Result<u8> {
    for _ in 0..INCREMENTS {
        *locked.lock()? += 1;
        let n = unlocked.load(Ordering::Relaxed);
        unlocked.store(n + 1, Ordering::Relaxed);
    }
    Ok(0)
}
