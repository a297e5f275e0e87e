//! A task that fails, and one that panics: the message reaches the caller, and the pool goes on.
//!
//! Python:  an exception in a task, raised again by `get`
//! Differs: an error of the task is an error here; a panic, which is a mistake in the program, is told apart.
//! Order:   each result is asked for before the next task is handed in.
//! Usage:   task_error [ring], by default on sockets
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

use std::{env, process};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::pool::{Pool, PoolError, Task, entry, serve};
use crate::ring::Ring;
use crate::socket::Socket;

pub fn main() -> Result<()> {
    if env::args().any(|arg| arg == "ring") {
        run::<Ring>()
    } else {
        run::<Socket>()
    }
}

fn run<C: Channel + 'static>() -> Result<()> {
    if serve::<C>(&[entry::<Divide>()])? {
        return Ok(());
    }
    let pool = Pool::<C>::with_workers(1)?;
    for (a, b) in [(6, 3), (6, 0), (1, 4), (6, 2)] {
        match pool.apply(Divide(a, b)) {
            Ok((result, worker)) => println!("worker {worker}: {a} / {b} = {result}"),
            Err(PoolError::Failed(message)) => println!("the task failed: {message}"),
            Err(PoolError::Panicked { message, .. }) => println!("the task panicked: {message}"),
            Err(error) => return Err(error.into()),
        }
    }
    println!("main process {}", process::id());
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Divide(u32, u32);

impl Task for Divide {
    const NAME: &str = "divide";
    type Output = (u32, u32);

    fn run(self) -> Result<(u32, u32)> {
        assert!(self.0 >= self.1 || self.1 == 0, "too small");
        let result = self.0.checked_div(self.1).context("division by zero")?;
        Ok((result, process::id()))
    }
}
