//! Map a function over a list with worker processes on socket pairs.
//!
//! Python:  `Pool(5).map(f, [1, 2, 3])`
//! Differs: the workers are this program, started again. One thread per worker takes items from the list.
//! Order:   as in map, whose trace and Python this example shares.
//! Lacks:   - A new worker for a killed one; here a kill fails the whole `map` (worker_killed).
//!          - A task's error, and its panic, as a value; here `f` cannot fail (task_error).
//!          - Results later, with a callback or a timeout (apply_async, callbacks, get_timeout).
//!          - Chunks; here each item is a round trip (map_chunksize).
//! Platform: Linux (the parent-death signal)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! nix = { version = "0.31", features = ["process", "signal"] }
//! postcard = { version = "1", features = ["use-std"] }
//! serde = "1"
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::{net::UnixStream, process::parent_id};
use std::process::{self, Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use serde::{Serialize, de::DeserializeOwned};

const SECOND: Duration = Duration::from_millis(100);

/// Set in a worker only: the pid of its parent.
const PARENT: &str = "BY_HAND_PARENT";

pub fn main() -> Result<()> {
    if let Ok(parent) = env::var(PARENT) {
        // SAFETY: this process has one thread, so nothing reads the environment meanwhile.
        unsafe { env::remove_var(PARENT) };
        return work(&parent);
    }
    println!("main process pid is {}", process::id());
    let mut workers = (0..5)
        .map(|_| Worker::start())
        .collect::<Result<Vec<_>>>()?;
    println!("{:?}", map(&mut workers, &[1, 2, 3])?);
    workers.into_iter().try_for_each(Worker::join)
}

type Item = u32;
type Output = (u32, u32, u32);

/// Takes a second and tells which process did it.
fn f(x: Item) -> Output {
    thread::sleep(SECOND);
    (x, process::id(), parent_id())
}

/// Has the workers do all items, each worker one at a time. The results are in the order of the items.
fn map(workers: &mut [Worker], items: &[Item]) -> Result<Vec<Output>> {
    let next = AtomicUsize::new(0);
    let run = |worker: &mut Worker| -> Result<Vec<(usize, Output)>> {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return Ok(results);
            };
            send(&mut worker.socket, item)?;
            let result = receive(&mut worker.socket)?;
            let result = result.with_context(|| format!("a worker ended in item {index}"))?;
            results.push((index, result));
        }
    };
    let mut results = thread::scope(|scope| {
        let start = |worker| scope.spawn(|| run(worker));
        let threads: Vec<_> = workers.iter_mut().map(start).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let joined = joined.map(|joined| joined.unwrap_or_else(|_| bail!("a thread panicked")));
        joined.collect::<Result<Vec<_>>>()
    })?
    .concat();
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

struct Worker {
    process: Child,
    socket: BufReader<UnixStream>,
}

impl Worker {
    /// Starts this program again, with one end of a socket pair as its stdin: its stdout is free for the tasks.
    fn start() -> Result<Worker> {
        let (ours, theirs) = UnixStream::pair().context("make a socket pair")?;
        let process = Command::new(env::current_exe().context("find this program's file")?)
            .args(env::args_os().skip(1))
            .env(PARENT, process::id().to_string())
            .stdin(OwnedFd::from(theirs))
            .spawn()
            .context("start a worker")?;
        let socket = BufReader::new(ours);
        Ok(Worker { process, socket })
    }

    /// Closes the socket, at whose end the worker ends, and waits for it.
    fn join(mut self) -> Result<()> {
        drop(self.socket);
        let status = self.process.wait().context("wait for a worker")?;
        ensure!(status.success(), "a worker failed: {status}");
        Ok(())
    }
}

fn work(parent: &str) -> Result<()> {
    // A worker in the middle of a long task ends with its parent too.
    set_pdeathsig(Signal::SIGKILL).context("ask for the parent-death signal")?;
    ensure!(parent_id().to_string() == parent, "the parent has ended");
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let mut socket = BufReader::new(UnixStream::from(stdin.context("take the socket")?));
    while let Some(item) = receive(&mut socket)? {
        send(&mut socket, &f(item))?;
    }
    Ok(())
}

fn send(socket: &mut BufReader<UnixStream>, value: &impl Serialize) -> Result<()> {
    let frame = postcard::to_stdvec_cobs(value).context("serialize a value")?;
    socket.get_mut().write_all(&frame).context("send a value")
}

/// The next value, or `None` at the end of file. A frame ends with the only 0 in it.
fn receive<T: DeserializeOwned>(socket: &mut BufReader<UnixStream>) -> Result<Option<T>> {
    let mut frame = Vec::new();
    let size = socket.read_until(0, &mut frame);
    let some = size.context("receive a value")? > 0;
    let value = some.then(|| postcard::from_bytes_cobs(&mut frame));
    value.transpose().context("read a value")
}
