//! The limit of open descriptors is reached. The error says so, and everything made before still works.

use std::fmt::Display;
use std::fs::File;
use std::iter;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use multiproc::{Connection, ConnectionError, Exit, Pool, Process, Queue, Value, fork, spawn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::each;
use crate::worker_killed::work;

/// A low limit is reached soon.
const LIMIT: usize = 64;

pub fn run(rounds: u32) -> Result<String> {
    let limit = Rlimit {
        current: Some(LIMIT as u64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).context("set the limit")?;
    let mut first = None;
    each(rounds, |_| {
        processes().context("processes")?;
        large_messages().context("large messages")?;
        let queues = exhaust(|| Ok(Queue::new()?), put_and_get).context("queues")?;
        let values = exhaust(|| Ok(Value::new(1)?), |value| Ok(value.set(2)?)).context("values")?;
        let pipes = exhaust(Pipe::new, Pipe::ping).context("pipes")?;
        let pools = exhaust(|| Ok(Pool::with_workers(2)?), map).context("pools")?;
        let counts = format!("{queues} queues, {values} values, {pipes} pipes, {pools} pools");
        let first = first.get_or_insert_with(|| counts.clone());
        ensure!(
            counts == *first,
            "{counts} instead of {first}: descriptors are lost"
        );
        Ok(counts)
    })?;
    Ok("an error that says so; what was made works on".to_owned())
}

/// Creates objects until an error, drops half of them, and creates more. Returns the number at the limit.
fn exhaust<T>(make: impl Fn() -> Result<T>, works: impl Fn(&mut T) -> Result<()>) -> Result<usize> {
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
            "only {} instead of {most} after dropping half",
            made.len()
        );
        most = made.len();
    }
    Ok(most)
}

fn clear(error: &impl Display) -> Result<()> {
    let error = format!("{error:#}");
    let says_so = error.contains("Too many open files");
    ensure!(says_so, "an error that does not name the limit: {error}");
    Ok(())
}

/// Uses up all remaining descriptors.
fn fill() -> Vec<File> {
    let file = || File::open("/dev/null").ok();
    iter::from_fn(file).collect()
}

/// A spawned process needs descriptors to start, a forked one does not.
fn processes() -> Result<()> {
    let (_ours, theirs) = Connection::pair()?;
    let files = fill();
    let spawned = spawn(echo, theirs);
    clear(&spawned.err().context("no error")?)?;
    let forked = fork(|| ()).context("fork")?.join()?;
    drop(files);
    let spawned = Pipe::new()?.ping();
    ensure!(forked == Exit::Code(0), "the forked child failed: {forked}");
    spawned.context("after closing the descriptors")
}

/// A large message uses a stream of its own, so each side needs a descriptor.
fn large_messages() -> Result<()> {
    let message = vec![7; 500_000];
    let (ours, theirs) = Connection::<(), Vec<u8>>::pair()?;
    let files = fill();
    let error = theirs.send(&message).err().context("no error")?;
    clear(&error)?;
    drop(files);
    let sender = fork(|| {
        // The receiver cannot take this message. It keeps the pipe open.
        let lost = theirs.send(&message);
        let told = matches!(lost, Err(ConnectionError::Io(_)));
        ensure!(told, "sending a message that is lost gave {lost:?}");
        Ok(theirs.send(&message)?)
    })?;
    let files = fill();
    ours.poll(Duration::MAX)?;
    clear(&ours.recv().err().context("no error")?)?;
    drop(files);
    ensure!(ours.recv()? == message, "the message has changed");
    let exit = sender.join()?;
    ensure!(exit == Exit::Code(0), "the sender failed: {exit}");
    Ok(())
}

/// A queue needs no descriptor for its items, small or large.
fn put_and_get(queue: &mut Queue<Vec<u8>>) -> Result<()> {
    for size in [1, 100_000] {
        let item = vec![7; size];
        queue.put(&item)?;
        ensure!(queue.get()? == item, "the item has changed");
    }
    Ok(())
}

fn map(pool: &mut Pool) -> Result<()> {
    let done = pool.map(work, [0, 1], Some(1))?;
    ensure!(done.len() == 2, "{} of 2 tasks done", done.len());
    Ok(())
}

/// A pipe and the peer that answers.
struct Pipe {
    pipe: Connection<u32, u32>,
    _peer: Process,
}

impl Pipe {
    fn new() -> Result<Pipe> {
        let (pipe, theirs) = Connection::pair()?;
        let peer = spawn(echo, theirs)?;
        Ok(Pipe { pipe, _peer: peer })
    }

    fn ping(&mut self) -> Result<()> {
        self.pipe.send(&1)?;
        ensure!(self.pipe.recv()? == 1, "the message has changed");
        Ok(())
    }
}

/// The peer.
pub fn echo(pipe: Connection<u32, u32>) -> Result<(), ConnectionError> {
    loop {
        match pipe.recv() {
            Ok(message) => pipe.send(&message)?,
            Err(ConnectionError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
