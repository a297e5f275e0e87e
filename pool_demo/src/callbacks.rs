//! The result of a task goes to one function, its error to another, both in the parent.
//!
//! Python:  `apply_async(f, args, callback=..., error_callback=...)`, and the same of `map_async`
//! Order:   a callback runs before the task counts as done, in a thread of the pool; so `join` has seen them all.
//! Usage:   callbacks [ring], by default on sockets
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

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::pool::{Pool, Task, entry, serve};
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
    if serve::<C>(&[entry::<Half>()])? {
        return Ok(());
    }
    println!("main process pid is {}", process::id());
    let pool = Pool::<C>::with_workers(2)?;
    let got = |half| println!("process {} got {half:?}", process::id());
    let failed = |error| println!("process {} got the error: {error}", process::id());
    for number in [8, 9] {
        pool.apply_async_with(Half(number), got, failed)?;
    }
    let got = |halves| println!("process {} got {halves:?}", process::id());
    for numbers in [[2, 4, 6], [2, 3, 4]] {
        pool.map_async_with(numbers.map(Half), None, got, failed)?;
    }
    pool.join()?;
    println!("main process {} joined the pool", process::id());
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Half(u32);

impl Task for Half {
    const NAME: &str = "half";
    type Output = u32;

    fn run(self) -> Result<u32> {
        ensure!(self.0.is_multiple_of(2), "{} is odd", self.0);
        Ok(self.0 / 2)
    }
}
