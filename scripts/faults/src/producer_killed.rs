//! A producer is killed in `put`, at any instruction; another goes on. Nothing that was put is lost, torn or doubled.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};

use crate::channel::Channel;
use crate::multiprocessing::{Exit, fork};
use crate::queues::{Queue, QueueError};
use crate::shared::Shared;
use crate::{Item, LONG, each, item};

/// How many items the other producer puts.
const OTHERS: u64 = 100;

pub fn run<C: Channel>(rounds: u32) -> Result<String> {
    let mut items = 0;
    each(rounds, |round| {
        let count = one::<C>(round)?;
        items += count;
        Ok(format!("{count} items, each once"))
    })?;
    Ok(format!("nothing lost of {items} items"))
}

fn one<C: Channel>(round: u32) -> Result<u64> {
    // With each item goes the producer's number.
    let queue = match round % 2 {
        0 => Queue::<(usize, Item), C>::new()?,
        _ => Queue::bounded(3)?,
    };
    let returned = Shared::new(AtomicI64::new(0))?;
    let killed = fork(|| {
        for number in 0.. {
            queue.put(&(0, item(number)))?;
            returned.fetch_add(1, Ordering::SeqCst);
        }
        Ok(0)
    })?;
    let other = fork(|| {
        (0..OTHERS).try_for_each(|number| queue.put(&(1, item(number))))?;
        Ok(0)
    })?;
    // How many have come from each producer.
    let mut got = [0; 2];
    // Somewhere in its work, not always at the same point.
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
    // The item in its hands may have been put, without its knowing.
    ensure!(
        got[0] == returned || got[0] == returned + 1,
        "lost: {} items were put, {} came",
        returned,
        got[0]
    );
    Ok(got[0] + got[1])
}

/// The items of each producer come whole, in order and without a gap.
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
