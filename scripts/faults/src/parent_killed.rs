//! The parent is killed while its children work or wait in every way they can. They go too: nothing is left.

use std::io::{self, Read, Write};
use std::process::{self, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::channel::Channel;
use crate::interrupted::Endless;
use crate::multiprocessing::{Process, fork};
use crate::pipe::{self, Connection};
use crate::pool::Pool;
use crate::queues::Queue;
use crate::shared::Lock;

/// Who runs this sends the signal when it has read a line.
pub fn run<C: Channel + 'static>(_rounds: u32) -> Result<String> {
    if let Some(role) = pipe::role() {
        let mut pipe = Connection::<(), ()>::to_parent(role)?;
        pipe.send(())?;
        pipe.recv().ok();
        process::exit(0);
    }
    let (mut ready, writer) = io::pipe().context("make a pipe")?;
    let child = |work: &(dyn Fn() -> Result<()> + Sync)| -> Result<Process> {
        fork(|| {
            (&writer).write_all(&[0]).context("tell the parent")?;
            // The one that waits for the parent's lock is told of its death, and stays all the same.
            work().ok();
            loop {
                thread::park();
            }
        })
    };
    let (empty, full) = (Queue::<u32, C>::new()?, Queue::<u32, C>::bounded(1)?);
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
    let (mut pipe, peer) = Connection::<(), ()>::spawn(Stdio::null())?;
    pipe.recv().context("hear the peer")?;
    ready.read_exact(&mut [0; 4]).context("hear the children")?;
    // Its tasks say that they are at work.
    let pool = Pool::<C>::with_workers(2)?;
    pool.map([Endless(0), Endless(1)], Some(1))?;
    drop((children, peer));
    bail!("it was not killed")
}
