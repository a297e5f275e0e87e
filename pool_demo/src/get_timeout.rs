//! `get` with a timeout gives up waiting, not the task.
//!
//! Python:  `AsyncResult.get(timeout)`, `multiprocessing.TimeoutError`
//! Order:   the timeout passes before the task is done; asked again, the result is there.
//! Usage:   get_timeout [ring], by default on sockets
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

use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::pool::{Pool, PoolError, Task, entry, serve};
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
    if serve::<C>(&[entry::<Slow>()])? {
        return Ok(());
    }
    let pool = Pool::<C>::with_workers(1)?;
    let start = Instant::now();
    let result = pool.apply_async(Slow(7))?;
    match result.get_timeout(SECOND) {
        Err(PoolError::TimedOut) => println!("TimeoutError"),
        result => println!("too early: {result:?}"),
    }
    println!("the value is {}", result.get_timeout(SECOND * 100)?);
    println!("after {:.2} seconds", start.elapsed().as_secs_f64());
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Slow(u32);

impl Task for Slow {
    const NAME: &str = "slow";
    type Output = u32;

    fn run(self) -> Result<u32> {
        thread::sleep(SECOND * 4);
        Ok(self.0)
    }
}
