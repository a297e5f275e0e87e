//! A producer is killed in `put`, at any instruction. The other producer goes on; no item that was put is lost, torn or
//! doubled.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};
use multiproc::{Exit, Queue, QueueError, Shared, fork};

use crate::{Item, LONG, each, item};

/// How many items the other producer puts.
const OTHERS: u64 = 100;

pub fn run(rounds: u32) -> Result<String> {
    let mut items = 0;
    each(rounds, |round| {
        let count = one(round)?;
        items += count;
        Ok(format!("{count} items, each once"))
    })?;
    Ok(format!("nothing lost of {items} items"))
}

fn one(round: u32) -> Result<u64> {
    // Each item carries its producer's number.
    let queue = match round % 2 {
        0 => Queue::<(usize, Item)>::new()?,
        _ => Queue::bounded(3)?,
    };
    let returned = Shared::new(AtomicI64::new(0))?;
    let killed = fork(|| -> Result<()> {
        for number in 0.. {
            queue.put(&(0, item(number)))?;
            returned.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    })?;
    let other = fork(|| (0..OTHERS).try_for_each(|number| queue.put(&(1, item(number)))))?;
    // How many have come from each producer.
    let mut got = [0; 2];
    // The producer is killed at another point of its work in each round.
    for _ in 0..round * 37 % 300 {
        count(queue.get_timeout(LONG)?, &mut got)?;
    }
    killed.kill()?;
    killed.join()?;
    let returned = returned.load(Ordering::SeqCst).cast_unsigned();
    while got[1] < OTHERS {
        let next = queue.get_timeout(LONG);
        count(next.context("the other's items do not come")?, &mut got)?;
    }
    let exit = other.join()?;
    ensure!(exit == Exit::Code(0), "the other producer failed: {exit}");
    loop {
        match queue.try_get() {
            Ok(next) => count(next, &mut got)?,
            Err(QueueError::Empty) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // The producer may have been killed after it put an item and before it counted it.
    ensure!(
        got[0] == returned || got[0] == returned + 1,
        "lost: {} items were put, {} came",
        returned,
        got[0]
    );
    Ok(got[0] + got[1])
}

/// Checks that the items of each producer come whole, in order and without a gap.
fn count((producer, found): (usize, Item), got: &mut [u64; 2]) -> Result<()> {
    let next = &mut got[producer];
    ensure!(
        found == item(*next),
        "after {next} items of producer {producer} came number {}, {} bytes",
        found.0,
        found.1.len()
    );
    *next += 1;
    Ok(())
}
