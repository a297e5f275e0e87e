//! The limit of open descriptors is reached. What cannot be made is an error that says so; all that was made works on.

use std::fmt::Display;
use std::fs::File;
use std::iter;
use std::process::{self, Child, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::channel::Channel;
use crate::each;
use crate::multiprocessing::{Exit, fork, spawn};
use crate::pipe::{self, Connection};
use crate::pool::Pool;
use crate::queues::Queue;
use crate::ring::Ring;
use crate::shared::Value;
use crate::socket::Socket;
use crate::worker_killed::Work;

/// So few that they are soon used up.
const LIMIT: usize = 64;

pub fn run(rounds: u32) -> Result<String> {
    if let Some(role) = pipe::role() {
        echo(role).ok();
        process::exit(0);
    }
    let limit = Rlimit {
        current: Some(LIMIT as u64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).context("set the limit")?;
    let mut first = None;
    each(rounds, |_| {
        processes().context("processes")?;
        large_items().context("large items")?;
        let on_sockets = exhaust(Queue::<_, Socket>::new, put_and_get);
        let on_rings = exhaust(Queue::<_, Ring>::new, put_and_get);
        let values = exhaust(|| Value::new(1), |value| Ok(value.set(2)?));
        let pipes = exhaust(Pipe::new, Pipe::ping);
        let pools = exhaust(|| Pool::<Socket>::with_workers(2), work);
        let counts = format!(
            "{} queues on sockets, {} on rings, {} values, {} pipes, {} pools",
            on_sockets.context("queues on sockets")?,
            on_rings.context("queues on rings")?,
            values.context("values")?,
            pipes.context("pipes")?,
            pools.context("pools")?
        );
        let first = first.get_or_insert_with(|| counts.clone());
        ensure!(
            counts == *first,
            "{counts} instead of {first}: descriptors are lost"
        );
        Ok(counts)
    })?;
    Ok("an error that says so; what was made works on".to_owned())
}

/// Makes things until there is an error, and again after closing half of them. Returns how many there could be.
fn exhaust<T, E: Display>(
    make: impl Fn() -> Result<T, E>,
    works: impl Fn(&mut T) -> Result<()>,
) -> Result<usize> {
    let mut made: Vec<T> = vec![];
    let mut most = 0;
    for _ in 0..2 {
        made.truncate(made.len() / 2);
        loop {
            match make() {
                Ok(thing) => made.push(thing),
                Err(error) => break clear(&error)?,
            }
            ensure!(made.len() < LIMIT, "more of them than descriptors");
        }
        made.iter_mut()
            .try_for_each(&works)
            .context("at the limit")?;
        ensure!(
            made.len() >= most,
            "only {} instead of {most} after closing half",
            made.len()
        );
        most = made.len();
    }
    Ok(most)
}

fn clear(error: &impl Display) -> Result<()> {
    let error = format!("{error:#}");
    let says_so = error.contains("Too many open files");
    ensure!(says_so, "an error that does not say so: {error}");
    Ok(())
}

/// All descriptors that are left.
fn fill() -> Vec<File> {
    let file = || File::open("/dev/null").ok();
    iter::from_fn(file).collect()
}

/// A process may need a descriptor to start.
fn processes() -> Result<()> {
    let files = fill();
    let start = || fork(|| Ok(0));
    for error in [start().err(), spawn("none").err()].iter().flatten() {
        clear(error)?;
    }
    drop(files);
    let exit = start()?.join()?;
    ensure!(exit == Exit::Code(0), "after closing: {exit}");
    Ok(())
}

/// Through a socket they travel as descriptors.
fn large_items() -> Result<()> {
    let queue = Queue::<Vec<u8>, Socket>::new()?;
    let item = vec![7; 100_000];
    queue.put(&item)?;
    let files = fill();
    for error in [queue.put(&item).err(), queue.get().err()] {
        clear(&error.context("no error")?)?;
    }
    drop(files);
    queue.put(&item)?;
    ensure!(queue.get()? == item, "the item has changed");
    Ok(())
}

fn put_and_get<C: Channel>(queue: &mut Queue<u32, C>) -> Result<()> {
    queue.put(&1)?;
    ensure!(queue.get()? == 1, "the item has changed");
    Ok(())
}

fn work(pool: &mut Pool<Socket>) -> Result<()> {
    ensure!(
        pool.map([Work(0), Work(1)], Some(1))?.len() == 2,
        "a task is missing"
    );
    Ok(())
}

/// A pipe and the peer that answers.
struct Pipe {
    pipe: Connection<u32, u32>,
    peer: Child,
}

impl Pipe {
    fn new() -> Result<Pipe> {
        let (pipe, peer) = Connection::spawn(Stdio::null())?;
        Ok(Pipe { pipe, peer })
    }

    fn ping(&mut self) -> Result<()> {
        self.pipe.send(1)?;
        ensure!(self.pipe.recv()? == 1, "the message has changed");
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.peer.kill().ok();
        self.peer.wait().ok();
    }
}

fn echo(role: String) -> Result<()> {
    let mut pipe = Connection::<u32, u32>::to_parent(role)?;
    while let Ok(message) = pipe.recv() {
        pipe.send(message)?;
    }
    Ok(())
}
