//! Let two event loops on two threads send each other work.
//!
//! Python:  `new_event_loop()`, `run_forever()` in a thread, `asyncio.run_coroutine_threadsafe(coro, loop)`
//! Differs: a loop is a `Runtime`, and its `Handle` takes work from any thread. A loop runs until a future is ready, so
//!          completing that future stops it; Python calls `loop.call_soon_threadsafe(loop.stop)`. The notes' program plays
//!          forever and hangs at Ctrl-C, because no code calls its `stop`.
//! Order:   each side prints its line before it sends work to the other.
//! Platform: Linux (`gettid`)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["thread"] }
//! tokio = { version = "1", features = ["rt", "sync", "time"] }
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::thread::gettid;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 3;

/// A boxed future, because two functions that spawn each other would have infinite types.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Loops {
    main: Handle,
    work: Handle,
}

pub fn main() -> Result<()> {
    let (main_loop, work_loop) = (new_loop()?, new_loop()?);
    let loops = Arc::new(Loops {
        main: main_loop.handle().clone(),
        work: work_loop.handle().clone(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let work_thread = thread::Builder::new()
        .spawn(move || drop(work_loop.block_on(stopped)))
        .context("start the thread")?;

    let (done, all_done) = oneshot::channel();
    let first = request(Arc::clone(&loops), ROUNDS, done);
    loops.work.spawn(first);
    let played = main_loop.block_on(all_done);

    drop(stop); // Ends the loop of the thread, which drops the tasks that are left.
    let joined = work_thread.join();
    joined.map_err(|_| anyhow!("the thread panicked"))?;
    println!(
        "{}",
        played.context("a half has failed, because a task panicked")?
    );
    Ok(())
}

fn new_loop() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.context("create a runtime")
}

fn request(loops: Arc<Loops>, rounds: u32, done: oneshot::Sender<&'static str>) -> Work {
    Box::pin(async move {
        println!("request! {rounds} in thread {}", gettid());
        sleep(SECOND).await;
        let answer = response(Arc::clone(&loops), rounds, done);
        loops.main.spawn(answer);
    })
}

fn response(loops: Arc<Loops>, rounds: u32, done: oneshot::Sender<&'static str>) -> Work {
    Box::pin(async move {
        println!("response! {rounds} in thread {}", gettid());
        sleep(SECOND).await;
        if rounds > 1 {
            let next = request(Arc::clone(&loops), rounds - 1, done);
            loops.work.spawn(next);
        } else if done.send("both loops have ended").is_err() {
            println!("main no longer waits");
        }
    })
}
