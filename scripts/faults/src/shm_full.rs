//! `/dev/shm` is full. What cannot be made is an error, never a SIGBUS later; what was made works on.

use anyhow::{Context, Result, ensure};

use crate::each;
use crate::queues::Queue;
use crate::ring::Ring;
use crate::shared::{Array, Value};

/// What an array takes of the 256 KiB there are.
static LARGE: [u8; 50_000] = [0; 50_000];

pub fn run(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let mut arrays = until_full(|| Array::new(&LARGE))?;
        let values = until_full(|| Value::new(0_u64))?;
        for array in &arrays {
            array.lock()?.fill(1);
        }
        for value in &values {
            value.set(1)?;
        }
        // It needs shared memory too, but no /dev/shm.
        let queue = Queue::<u32, Ring>::new().context("a queue")?;
        queue.put(&1)?;
        ensure!(queue.get()? == 1, "the item has changed");
        arrays.pop();
        Array::new(&LARGE).context("after removing an array")?;
        Ok(format!(
            "{} arrays, {} values",
            arrays.len() + 1,
            values.len()
        ))
    })?;
    Ok("an error that says so; what was made works on".to_owned())
}

fn until_full<T>(make: impl Fn() -> Result<T>) -> Result<Vec<T>> {
    let mut made = vec![];
    loop {
        match make() {
            Ok(thing) => made.push(thing),
            Err(error) => {
                let error = format!("{error:#}");
                let says_so = error.contains("No space left on device");
                ensure!(says_so, "an error that does not say so: {error}");
                return Ok(made);
            }
        }
    }
}
