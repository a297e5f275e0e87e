//! Blocking calls in the loop's own thread, in the default pool, in a pool of one's own, and in a process pool.
//!
//! Python:  `await loop.run_in_executor(None | ThreadPoolExecutor() | ProcessPoolExecutor(), function)`
//! Differs: tokio's default pool has 512 threads for what waits; what computes belongs in a pool with one for each
//!          core (rayon), which sends its result back through a channel. Threads run on all cores here, so a process
//!          pool is for what may crash or leak. The notes' form leaves each `with` pool before the next begins, and
//!          blocks its own loop three times: 9 seconds, not 3. `run_in_executor` returns an asyncio future, not a
//!          concurrent one.
//! Order:   all four begin at once, and in which order they end is free. While the loop's thread is blocked no other
//!          task runs, so there is no heartbeat.
//! Needs:   fork_demo/multiprocessing.rs, pool_demo/pool.rs, queue_demo/channel.rs, queue_demo/event.rs
//! Needs:   queue_demo/memory.rs, queue_demo/monitor.rs, queue_demo/socket.rs, shm_demo/robust.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! bytemuck = { version = "1", features = ["derive"] }
//! libc = "0.2"
//! postcard = { version = "1", default-features = false, features = ["use-std"] }
//! rayon = "1"
//! rustix = { version = "1", features = ["event", "fs", "mm", "net", "process", "thread"] }
//! serde = { version = "1", features = ["derive"] }
//! tokio = { version = "1", features = ["rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::pool::{Pool, Task, entry, serve};
use crate::socket::Socket;

const SECOND: Duration = Duration::from_millis(100);
static HEARTBEATS: AtomicU32 = AtomicU32::new(0);

pub fn main() -> Result<()> {
    // The workers of the process pool are this program, started again: they never make a runtime.
    if serve::<Socket>(&[entry::<Block>()])? {
        return Ok(());
    }
    let processes = Arc::new(Pool::<Socket>::with_workers(1)?);
    // Without a handler, rayon ends the program when a function panics.
    let threads = ThreadPoolBuilder::new().num_threads(1).panic_handler(drop);
    let threads = Arc::new(threads.build().context("start a thread pool")?);
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.context("make a runtime")?;
    runtime.spawn(heartbeat());
    for mistake in [true, false] {
        runtime.block_on(run(&threads, &processes, mistake))?;
    }
    Ok(())
}

async fn heartbeat() {
    loop {
        sleep(SECOND / 10).await;
        HEARTBEATS.fetch_add(1, Ordering::Relaxed);
    }
}

async fn run(
    threads: &Arc<ThreadPool>,
    processes: &Arc<Pool<Socket>>,
    mistake: bool,
) -> Result<()> {
    let (begun, beats) = (Instant::now(), HEARTBEATS.load(Ordering::Relaxed));
    println!("started, mistake: {mistake}");
    let mut tasks = JoinSet::new();
    tasks.spawn(default_pool());
    tasks.spawn(own_thread_pool(Arc::clone(threads)));
    tasks.spawn(process_pool(Arc::clone(processes)));
    if mistake {
        tasks.spawn(loop_thread());
    }
    while let Some(done) = tasks.join_next().await {
        println!("{}", done.context("wait for a task")??);
    }
    println!("finished after {:.6}", begun.elapsed().as_secs_f64());
    if !mistake {
        print_heartbeats_since(beats);
    }
    Ok(())
}

/// The mistake. The others are at work because they were handed in before; nothing else is done in this thread.
async fn loop_thread() -> Result<String> {
    let beats = HEARTBEATS.load(Ordering::Relaxed);
    let done = synchronized_block("current thread");
    print_heartbeats_since(beats);
    Ok(done)
}

/// Dropped at this await, it loses the result; a function that has begun runs to its end. So do the next two.
async fn default_pool() -> Result<String> {
    Ok(spawn_blocking(|| synchronized_block("default thread pool")).await?)
}

async fn own_thread_pool(threads: Arc<ThreadPool>) -> Result<String> {
    let (done, result) = oneshot::channel();
    threads.spawn(|| drop(done.send(synchronized_block("custom thread pool"))));
    result.await.context("the function panicked")
}

async fn process_pool(processes: Arc<Pool<Socket>>) -> Result<String> {
    let (done, mut result) = mpsc::unbounded_channel();
    let failed = done.clone();
    let callback = move |value| drop(done.send(Ok(value)));
    let error_callback = move |error| drop(failed.send(Err(error)));
    let task = Block("custom process pool".to_owned());
    processes.apply_async_with(task, callback, error_callback)?;
    Ok(result.recv().await.context("the pool has ended")??)
}

#[derive(Serialize, Deserialize)]
struct Block(String);

impl Task for Block {
    const NAME: &str = "block";
    type Output = String;

    fn run(self) -> Result<String> {
        Ok(synchronized_block(&self.0))
    }
}

fn synchronized_block(p: &str) -> String {
    thread::sleep(3 * SECOND);
    format!("{p} block 3 second")
}

fn print_heartbeats_since(before: u32) {
    let beats = HEARTBEATS.load(Ordering::Relaxed) - before;
    println!("heartbeats meanwhile: {beats}");
}
