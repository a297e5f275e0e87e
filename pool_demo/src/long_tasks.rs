//! Five tasks, each as long as it is told to be, on as many workers as there are cores.
//!
//! Python:  `Pool()`, `apply_async`
//! Differs: the times are chosen beforehand, so that the trace can compare them with the times measured.
//! Order:   free; a task that has to wait for a worker is not longer for it.
//! Usage:   long_tasks [ring], by default on sockets
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
    if serve::<C>(&[entry::<LongTask>()])? {
        return Ok(());
    }
    println!("main process pid is {}", process::id());
    let pool = Pool::<C>::new()?;
    for name in 0..5 {
        let time = SECOND * 3 * (7 * name % 5) / 5;
        pool.apply_async(LongTask { name, time })?;
    }
    pool.join()
}

#[derive(Serialize, Deserialize)]
struct LongTask {
    name: u32,
    time: Duration,
}

impl Task for LongTask {
    const NAME: &str = "long_time_task";
    type Output = ();

    fn run(self) -> Result<()> {
        let LongTask { name, time } = self;
        let (pid, asked) = (process::id(), time.as_secs_f64());
        println!("Task {name} pid {pid} is to run {asked:.2} seconds");
        let start = Instant::now();
        thread::sleep(time);
        let took = start.elapsed().as_secs_f64();
        println!("Task {name} pid {pid} runs {took:.2} seconds");
        Ok(())
    }
}
