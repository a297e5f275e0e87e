//! Stop an executor by a signal, which cancels its work and lets it clean up.
//!
//! Python:  `signal.signal(signal.SIGTERM, handler)`, and `Task.cancel()` for each task of the loop
//! Differs: the notes install `stop` as a signal handler, but `stop` takes no arguments, and Python passes a handler two. Here
//!          the executor listens for the signal itself. The cleanup is a destructor, which runs in the executor's thread.
//! Order:   main sends the signal after the task has begun, and goes on after the executor's thread has ended.
//! Platform: Linux (`gettid`)
//! Needs:   task_executor.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! rustix = { version = "1", features = ["process", "thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync"] }
//! tokio-util = { version = "0.7", features = ["rt"] }
//! ```

use std::future::pending;
use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, kill_process};
use rustix::thread::gettid;

use crate::task_executor::{Stop, StoppedBy, TaskExecutor};

pub fn main() -> Result<()> {
    println!("main is thread {}", gettid());
    let e = TaskExecutor::started()?;
    e.stop_on_signals(Stop::Cancel)?;
    let (begun, has_begun) = mpsc::channel();
    let endless = e.submit(clean_up(begun))?;
    has_begun.recv().context("wait until the task has begun")?;
    kill_process(getpid(), Signal::TERM).context("send SIGTERM to this process")?;
    match e.join()? {
        StoppedBy::Signal(signal) => println!("stopped by signal {}", signal.as_raw_value()),
        StoppedBy::Caller => bail!("a call has stopped the executor before the signal"),
    }
    let cancelled = endless.wait().err().context("the task has ended")?;
    println!("its waiter: {cancelled}");
    Ok(())
}

async fn clean_up(begun: Sender<()>) {
    let _cleanup = Cleanup;
    println!("an endless task in thread {}", gettid());
    begun.send(()).ok(); // It fails only if main has failed.
    pending().await // Dropped here. The drop of `_cleanup` cannot await.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "cleaned up in thread {}", gettid()).ok(); // A panic here may abort.
    }
}
