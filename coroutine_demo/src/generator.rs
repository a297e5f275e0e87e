//! Exhaust a generator, throw an error into a coroutine, and close it.
//!
//! Python:  `next(g)`, `StopIteration`, `c.send(n)`, `c.throw(error)`, `c.close()`
//! Differs: a generator is an iterator, and `None` is its end. The last step returns the result, which Python puts into a
//!          `StopIteration`. A thrown error is the `Err` of a `Result`, and `finally` is a destructor.
//! Order:   one thread runs everything.
//! Needs:   coroutine.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::iter;

use anyhow::{Result, bail};

use crate::coroutine::{Coroutine, CoroutineError, Step, Yielder};

pub fn main() -> Result<()> {
    let mut g = count(2);
    for _ in 0..4 {
        match g.next() {
            Some(n) => println!("next: {n}"),
            None => println!("next: exhausted"),
        }
    }

    let mut c = Coroutine::new(total);
    report("start", c.start()?);
    report("send 3", c.send(3)?);
    report("throw", c.throw("not a number")?);
    report("send 4", c.send(4)?);
    c.close();
    println!("closed");
    match c.send(5) {
        Err(CoroutineError::Finished) => println!("send 5: {}", CoroutineError::Finished),
        _ => bail!("the closed coroutine went on"),
    }

    let mut c = Coroutine::new(total);
    report("start", c.start()?);
    report("send 12", c.send(12)?);
    Ok(())
}

/// Counts from 1 to `limit`. `fuse` keeps the iterator at its end; without it, it could go on.
fn count(limit: u32) -> impl Iterator<Item = u32> {
    let mut n = 0;
    let next = move || {
        n += 1;
        (n <= limit).then_some(n)
    };
    iter::from_fn(next).fuse()
}

/// Takes numbers and yields their total, until it is 10 or more.
async fn total(mut co: Yielder<u32, u32, &str>) -> u32 {
    let _cleanup = Cleanup;
    let mut total = 0;
    while total < 10 {
        match co.suspend(total).await {
            Ok(n) => total += n,
            Err(error) => println!("the coroutine catches: {error}"),
        }
    }
    total
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        println!("the coroutine cleans up");
    }
}

fn report(what: &str, step: Step<u32, u32>) {
    match step {
        Step::Yielded(total) => println!("{what}: total {total}"),
        Step::Returned(total) => println!("{what}: returned {total}"),
    }
}
