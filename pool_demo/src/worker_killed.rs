//! A worker is killed in the middle of a task: the task fails, the worker is replaced, all other tasks are done.
//!
//! Python:  none: the caller waits for ever for the killed task (cpython #96062)
//! Order:   the task kills its worker; who does the others, and when, is free.
//! Usage:   worker_killed [ring], by default on sockets
//! Variants: ring
//! Needs:   fork_demo/multiprocessing.rs, pool.rs, queue_demo/channel.rs, queue_demo/event.rs
//! Needs:   queue_demo/memory.rs, queue_demo/monitor.rs, queue_demo/ring.rs, queue_demo/socket.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! rustix = { version = "1", features = ["event", "fs", "mm", "net", "process", "thread"] }
//! serde = { version = "1", features = ["derive"] }
//! ```

use std::time::Duration;
use std::{env, process, thread};

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::pool::{Pool, Task, entry, serve};
use crate::ring::Ring;
use crate::socket::Socket;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    if env::args().any(|arg| arg == "ring") {
        run::<Ring>()
    } else {
        run::<Socket>()
    }
}

fn run<C: Channel + 'static>() -> Result<()> {
    if serve::<C>(&[entry::<Square>(), entry::<Who>()])? {
        return Ok(());
    }
    let pool = Pool::<C>::with_workers(2)?;
    print_workers(&pool)?;
    let results: Result<Vec<_>, _> = (0..10)
        .map(|number| pool.apply_async(Square(number)))
        .collect();
    for (number, result) in results?.iter().enumerate() {
        match result.get() {
            Ok(square) => println!("{number} * {number} = {square}"),
            Err(error) => println!("{number}: {error}"),
        }
    }
    print_workers(&pool)
}

/// Kills its worker where the number is 5.
#[derive(Serialize, Deserialize)]
struct Square(u32);

impl Task for Square {
    const NAME: &str = "square";
    type Output = u32;

    fn run(self) -> Result<u32> {
        if self.0 == 5 {
            kill_process(getpid(), Signal::KILL).context("kill myself")?;
        }
        Ok(self.0 * self.0)
    }
}

fn print_workers<C: Channel + 'static>(pool: &Pool<C>) -> Result<()> {
    let pids = pool.map([Who, Who], Some(1))?;
    println!(
        "main process {} has the workers {} and {}",
        process::id(),
        pids[0],
        pids[1]
    );
    Ok(())
}

/// Takes a second, so that the other worker does the other one.
#[derive(Serialize, Deserialize)]
struct Who;

impl Task for Who {
    const NAME: &str = "who";
    type Output = u32;

    fn run(self) -> Result<u32> {
        thread::sleep(SECOND);
        Ok(process::id())
    }
}
