//! `/dev/shm` cannot be written. Values are an error that says so; queues do not need it.

use anyhow::{Context, Result, bail, ensure};

use crate::each;
use crate::queues::Queue;
use crate::ring::Ring;
use crate::shared::Value;

pub fn run(rounds: u32) -> Result<String> {
    let mut reason = String::new();
    each(rounds, |_| {
        match Value::new(0_u64) {
            Ok(_) => bail!("a value was made all the same"),
            Err(error) => reason = format!("{error:#}"),
        }
        let queue = Queue::<u32, Ring>::new().context("a queue")?;
        queue.put(&1)?;
        ensure!(queue.get()? == 1, "the item has changed");
        Ok("no value, but a queue".to_owned())
    })?;
    Ok(format!("queues work; values: {reason}"))
}
