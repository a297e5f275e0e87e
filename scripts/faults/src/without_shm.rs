//! `/dev/shm` is full or read-only. multiproc does not use it, so everything works.

use std::fs::File;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result, bail, ensure};
use multiproc::{Array, Lock, Pool, Queue, Value};

use crate::each;
use crate::worker_killed::work;

/// More than `/dev/shm` can hold here.
const LARGE: usize = 1 << 20;

pub fn full(rounds: u32) -> Result<String> {
    let mut file = tempfile::tempfile_in("/dev/shm").context("make a file in /dev/shm")?;
    loop {
        match file.write(&[1; 1 << 10]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => return Err(error).context("fill /dev/shm"),
        }
    }
    all_work(rounds)
}

pub fn read_only(rounds: u32) -> Result<String> {
    match File::create("/dev/shm/faults") {
        Ok(_) => bail!("/dev/shm can be written"),
        Err(error) => ensure!(
            error.kind() == ErrorKind::ReadOnlyFilesystem,
            "instead of a read-only file system: {error}"
        ),
    }
    all_work(rounds)
}

fn all_work(rounds: u32) -> Result<String> {
    each(rounds, |_| {
        let array = Array::new(&[0_u8; LARGE]).context("an array")?;
        array.lock()?.fill(1);
        let value = Value::new(0_u64).context("a value")?;
        value.set(1)?;
        drop(Lock::new().context("a lock")?.lock()?);
        let queue = Queue::new().context("a queue")?;
        queue.put(&vec![1_u8; LARGE])?;
        ensure!(queue.get()? == [1; LARGE], "the item has changed");
        let pool = Pool::with_workers(2).context("a pool")?;
        let done = pool.map(work, [0, 1], Some(1))?;
        ensure!(done.len() == 2, "{} of 2 tasks done", done.len());
        pool.join()?;
        Ok("an array, a value, a lock, a queue and a pool".to_owned())
    })?;
    Ok("arrays, values, locks, queues and pools work".to_owned())
}
