//! `apply` blocks until its task is done: two calls run one after the other, whatever the number of workers.
//!
//! Python:  `Pool.apply`
//! Notes:   they say that `apply` returns an `AsyncResult`; it returns the result itself.
//! Order:   the second task begins when the first one's result is back.
//! Usage:   apply [ring], by default on sockets
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

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use anyhow::Result;
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
    if serve::<C>(&[entry::<F>()])? {
        return Ok(());
    }
    let pool = Pool::<C>::with_workers(5)?;
    println!("{:.6}", pool.apply(F)?);
    println!("{:.6}", pool.apply(F)?);
    Ok(())
}

/// Takes a second and returns the time of day.
#[derive(Serialize, Deserialize)]
struct F;

impl Task for F {
    const NAME: &str = "f";
    type Output = f64;

    fn run(self) -> Result<f64> {
        thread::sleep(SECOND);
        Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
    }
}
