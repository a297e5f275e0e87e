//! Run blocking calls in thread pools, a process pool and, by mistake, the loop.
//!
//! Python:  `await loop.run_in_executor(None | ThreadPoolExecutor() | ProcessPoolExecutor(), function)`
//! Differs: tokio's default pool has 512 threads, for calls that wait. Computing belongs in a pool with one thread for each
//!          core (rayon), which sends its result back through a channel. Threads run on all cores here, so a process pool is
//!          for code that may crash or leak. The notes leave each `with` pool before the next begins, and block their own
//!          loop three times: 9 seconds, not 3.
//! Order:   all calls begin together and end in any order. While its thread is blocked, the loop runs no heartbeat.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! rayon = "1"
//! tokio = { version = "1", features = ["rt", "sync", "time"] }
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use multiproc::{Pool, init, task};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
static HEARTBEATS: AtomicU32 = AtomicU32::new(0);

pub fn main() -> Result<()> {
    init([task(block)]);
    let processes = Arc::new(Pool::with_workers(1)?);
    // Without a handler, rayon ends the program when a function panics.
    let threads = ThreadPoolBuilder::new().num_threads(1).panic_handler(drop);
    let threads = Arc::new(threads.build().context("start a thread pool")?);
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.context("create a runtime")?;
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

async fn run(threads: &Arc<ThreadPool>, processes: &Arc<Pool>, mistake: bool) -> Result<()> {
    let (begun, beats) = (Instant::now(), HEARTBEATS.load(Ordering::Relaxed));
    println!("started, mistake: {mistake}");
    let mut tasks = JoinSet::new();
    tasks.spawn(default_pool());
    tasks.spawn(thread_pool(Arc::clone(threads)));
    tasks.spawn(process_pool(Arc::clone(processes)));
    if mistake {
        tasks.spawn(loop_thread());
    }
    while let Some(done) = tasks.join_next().await {
        println!("{}", done.context("wait for a task")??);
    }
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("finished after {seconds:.6} seconds");
    if !mistake {
        print_heartbeats_since(beats);
    }
    Ok(())
}

/// Cancelling this await, or one of the next two, loses the result; the function runs on.
async fn default_pool() -> Result<String> {
    spawn_blocking(|| block("default thread pool".to_owned())).await?
}

async fn thread_pool(threads: Arc<ThreadPool>) -> Result<String> {
    let (done, result) = oneshot::channel();
    threads.spawn(|| drop(done.send(block("custom thread pool".to_owned()))));
    result.await.context("the function panicked")?
}

async fn process_pool(processes: Arc<Pool>) -> Result<String> {
    let apply = move || processes.apply(block, "custom process pool".to_owned());
    Ok(spawn_blocking(apply).await??)
}

/// The mistake. The pools are at work, because their tasks were spawned first, but this thread does nothing else.
async fn loop_thread() -> Result<String> {
    let beats = HEARTBEATS.load(Ordering::Relaxed);
    let done = block("current thread".to_owned());
    print_heartbeats_since(beats);
    done
}

fn block(p: String) -> Result<String> {
    thread::sleep(3 * SECOND);
    Ok(format!("{p} block 3 second"))
}

fn print_heartbeats_since(before: u32) {
    let beats = HEARTBEATS.load(Ordering::Relaxed) - before;
    println!("heartbeats meanwhile: {beats}");
}
