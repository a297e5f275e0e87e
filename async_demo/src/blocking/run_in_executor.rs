//! Run blocking calls in the loop's thread, in thread pools and in a process pool.
//!
//! Python:  `await loop.run_in_executor(None | ThreadPoolExecutor() | ProcessPoolExecutor(), function)`
//! Differs: tokio's default pool has 512 threads for calls that wait. Calls that compute belong in a pool with a thread for
//!          each core (rayon). Threads run on all cores here, so a process pool is for calls that may crash or leak. The
//!          notes leave each `with` pool before the next begins, which blocks their loop: 9 seconds, not 3.
//! Order:   all four calls begin at once, and may end in any order. While the loop's thread is blocked no other task runs,
//!          so there is no heartbeat.
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
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
static HEARTBEATS: AtomicU32 = AtomicU32::new(0);

pub fn main() -> Result<()> {
    init([task(block)]);
    let processes = Arc::new(Pool::with_workers(1)?);
    // Without a handler, rayon aborts the program when a function panics.
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

async fn run(threads: &Arc<ThreadPool>, processes: &Arc<Pool>, mistake: bool) -> Result<()> {
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
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("finished after {seconds:.6}");
    if !mistake {
        print_heartbeats_since(beats);
    }
    Ok(())
}

/// The mistake: nothing else runs in the loop's thread meanwhile. The other calls were submitted before.
async fn loop_thread() -> Result<String> {
    let beats = HEARTBEATS.load(Ordering::Relaxed);
    let done = synchronized_block("current thread");
    print_heartbeats_since(beats);
    Ok(done)
}

/// Cancelled at its await, this and the next two lose the result; the function runs to its end.
async fn default_pool() -> Result<String> {
    Ok(spawn_blocking(|| synchronized_block("default thread pool")).await?)
}

async fn own_thread_pool(threads: Arc<ThreadPool>) -> Result<String> {
    let (done, result) = oneshot::channel();
    threads.spawn(|| drop(done.send(synchronized_block("custom thread pool"))));
    result.await.context("the function panicked")
}

async fn process_pool(processes: Arc<Pool>) -> Result<String> {
    let (done, mut result) = mpsc::unbounded_channel();
    let failed = done.clone();
    let callback = move |value| drop(done.send(Ok(value)));
    let error_callback = move |error| drop(failed.send(Err(error)));
    let name = "custom process pool".to_owned();
    processes.apply_async_with(block, name, callback, error_callback)?;
    Ok(result.recv().await.context("the pool has ended")??)
}

fn block(p: String) -> Result<String> {
    Ok(synchronized_block(&p))
}

fn synchronized_block(p: &str) -> String {
    thread::sleep(3 * SECOND);
    format!("{p} block 3 second")
}

fn print_heartbeats_since(before: u32) {
    let beats = HEARTBEATS.load(Ordering::Relaxed) - before;
    println!("heartbeats meanwhile: {beats}");
}
