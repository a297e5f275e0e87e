//! Four workers and five tasks: the fifth waits for the first worker that is free.
//!
//! Python:  `Pool.apply_async`
//! Order:   four tasks begin at once, in free order; the fifth begins when one of them is done.
//! Usage:   apply_async [ring], by default on sockets
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
    if serve::<C>(&[entry::<R>()])? {
        return Ok(());
    }
    println!("main process pid is {}", process::id());
    let pool = Pool::<C>::with_workers(4)?;
    for _ in 0..5 {
        pool.apply_async(R)?;
    }
    pool.join()
}

#[derive(Serialize, Deserialize)]
struct R;

impl Task for R {
    const NAME: &str = "r";
    type Output = ();

    fn run(self) -> Result<()> {
        println!(
            "child process pid is {} ppid is {}",
            process::id(),
            parent_id()
        );
        thread::sleep(SECOND);
        println!("child process {} is free", process::id());
        Ok(())
    }
}
