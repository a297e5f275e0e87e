//! `map_async` returns at once; `get` blocks until the results are there.
//!
//! Python:  `Pool.map_async`, `MapResult.get`
//! Order:   the main process goes on while the workers work.
//! Usage:   map_async [ring], by default on sockets
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
use std::time::Duration;
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
    let result = pool.map_async([1, 2, 3].map(F), None)?;
    println!(
        "main process {} goes on, ready: {}",
        process::id(),
        result.ready()
    );
    println!("{:?}", result.get()?);
    let successful = result.successful() == Some(true);
    println!("ready: {}, successful: {successful}", result.ready());
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
