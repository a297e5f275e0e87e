//! With `chunksize` 3, one worker does all three items, one after the other.
//!
//! Python:  `Pool.map(f, [1, 2, 3], 3)`
//! Order:   the results come in the order of the items.
//! Usage:   map_chunksize [ring], by default on sockets
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

use std::os::unix::process::parent_id;
use std::time::{Duration, Instant};
use std::{env, process, thread};

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
    println!("main process pid is {}", process::id());
    let pool = Pool::<C>::with_workers(5)?;
    let start = Instant::now();
    let results = pool.map([1, 2, 3].map(F), Some(3))?;
    println!("{results:?}");
    println!("took {:.2} seconds", start.elapsed().as_secs_f64());
    Ok(())
}

/// Takes a second and says who has done it.
#[derive(Serialize, Deserialize)]
struct F(u32);

impl Task for F {
    const NAME: &str = "f";
    type Output = (u32, u32, u32);

    fn run(self) -> Result<(u32, u32, u32)> {
        thread::sleep(SECOND);
        Ok((self.0, process::id(), parent_id()))
    }
}
