//! A consumer is killed in `get`, at any instruction. The other consumer goes on; at most one item is lost.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

use anyhow::{Context, Result, ensure};
use multiproc::{Exit, Process, Queue, QueueError, fork};

use crate::{Item, LONG, each, item};

/// How many items are put in a round.
const ITEMS: u64 = 120;

pub fn run(rounds: u32) -> Result<String> {
    let mut lost = 0;
    each(rounds, |round| {
        let gone = one(round)?;
        lost += gone;
        Ok(format!("{ITEMS} items, {gone} lost"))
    })?;
    let items = u64::from(rounds) * ITEMS;
    Ok(format!(
        "of {items} items {lost} lost, each with the consumer that had taken it"
    ))
}

/// Returns how many items were lost with the killed consumer: one or none.
fn one(round: u32) -> Result<u64> {
    let queue = match round % 2 {
        0 => Queue::<Item>::new()?,
        _ => Queue::bounded(3)?,
    };
    let (killed, killed_got) = consumer(&queue)?;
    let (other, other_got) = consumer(&queue)?;
    // The consumer is killed while it waits in `get`, or while it takes an item.
    let before = u64::from(round) * 37 % ITEMS;
    let put = |number| {
        let put = queue.put_timeout(&item(number), LONG);
        put.with_context(|| format!("put item {number}"))
    };
    (0..before).try_for_each(put)?;
    killed.kill()?;
    killed.join()?;
    (before..ITEMS).try_for_each(put)?;
    queue.close()?;
    let exit = other.join()?;
    ensure!(exit == Exit::Code(0), "the other consumer failed: {exit}");
    let mut times = [0; ITEMS as usize];
    for number in read(killed_got)?.into_iter().chain(read(other_got)?) {
        times[number as usize] += 1;
    }
    let doubled = times.iter().filter(|times| **times > 1).count();
    ensure!(doubled == 0, "{doubled} items came twice");
    let lost = times.iter().filter(|times| **times == 0).count() as u64;
    ensure!(lost <= 1, "lost {lost} of {ITEMS} items");
    Ok(lost)
}

/// Starts a process that writes the number of each item that it gets to a pipe.
fn consumer(queue: &Queue<Item>) -> Result<(Process, PipeReader)> {
    let (reader, writer) = io::pipe().context("make a pipe")?;
    let process = fork(|| consume(queue, &writer))?;
    Ok((process, reader))
}

fn consume(queue: &Queue<Item>, mut got: &PipeWriter) -> Result<()> {
    loop {
        match queue.get() {
            Ok(found) => {
                let number = found.0;
                ensure!(found == item(number), "item {number} is torn");
                got.write_all(&number.to_le_bytes()).context("report")?;
            }
            Err(QueueError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(mut pipe: PipeReader) -> Result<Vec<u64>> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).context("read a report")?;
    let (numbers, _) = bytes.as_chunks();
    Ok(numbers.iter().copied().map(u64::from_le_bytes).collect())
}
