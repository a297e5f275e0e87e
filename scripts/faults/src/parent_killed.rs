//! The parent is killed while its children work or wait, in every way of waiting. All children end with it.

use std::io::{self, Read, Write};
use std::thread;

use anyhow::{Context, Result, bail};
use multiproc::{Connection, Lock, Pool, Process, Queue, fork, spawn};

use crate::interrupted::endless;

/// smoke sends the signal after it has read a line.
pub fn run(_rounds: u32) -> Result<String> {
    let (mut ready, writer) = io::pipe().context("make a pipe")?;
    let child = |work: &(dyn Fn() -> Result<()> + Sync)| -> Result<Process> {
        Ok(fork(|| -> Result<()> {
            (&writer).write_all(&[0]).context("tell the parent")?;
            // The child that waits for the parent's lock gets an error when the parent dies, but does not end by itself.
            work().ok();
            loop {
                thread::park();
            }
        })?)
    };
    let (empty, full) = (Queue::<u32>::new()?, Queue::<u32>::bounded(1)?);
    full.put(&0)?;
    let (lock, held) = (Lock::new()?, Lock::new()?);
    let _held = held.lock()?;
    let children = [
        child(&|| Ok(empty.get().map(drop)?))?,
        child(&|| Ok(full.put(&1)?))?,
        child(&|| Ok(held.lock().map(drop)?))?,
        child(&|| {
            loop {
                drop(lock.lock()?);
            }
        })?,
    ];
    let (pipe, theirs) = Connection::<(), ()>::pair()?;
    let peer = spawn(peer, theirs)?;
    pipe.recv().context("hear the peer")?;
    ready.read_exact(&mut [0; 4]).context("hear the children")?;
    // Its tasks print that they have started.
    let pool = Pool::with_workers(2)?;
    pool.map(endless, [0, 1], Some(1))?;
    drop((children, peer));
    bail!("it was not killed")
}

/// Reports to the parent and waits for an answer.
pub fn peer(pipe: Connection<(), ()>) -> Result<()> {
    pipe.send(&())?;
    // `recv` fails if this process sees the parent's death before it is killed itself.
    pipe.recv().ok();
    Ok(())
}
