//! An event loop on a thread of its own takes work from outside, until it is drained, or stopped by a signal.
//!
//! Python:  `asyncio.run_coroutine_threadsafe`, `add_done_callback`, `Future.result(timeout)`, `signal.signal`
//! Differs: here the callback has returned before the waiter goes on; Python wakes the waiter first. The notes' `stop`
//!          cannot be a signal handler (which gets two arguments), their waiter reads `stop_sign` for `_stop_sign`,
//!          and asks each half second: a task of 0.2 seconds takes 0.5. Here it sleeps until the result is there.
//! Order:   a task's lines come before its waiter's; `join` returns when all that was submitted is finished.
//! Linux:   `gettid`, the number that the kernel knows a thread by.
//! Needs:   task_executor.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["process", "thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync", "time"] }
//! ```

use std::fmt::Display;
use std::future::pending;
use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, kill_process};
use rustix::thread::gettid;
use tokio::time::sleep;

use crate::task_executor::{Stop, StoppedBy, TaskError, TaskExecutor};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    println!("main is thread {}", gettid());
    work_and_drain()?;
    until_a_signal()
}

fn work_and_drain() -> Result<()> {
    let e = TaskExecutor::new();
    println!("too early: {}", error(e.submit(p()))?);
    e.start()?;
    println!("main got {}", e.submit_with(p(), b)?.wait()?);

    let mut endless = e.submit(pending::<()>())?;
    println!("limit: {}", error(endless.wait_timeout(SECOND))?);
    endless.cancel();
    println!("failed: {}", error(e.submit(fail()).map(|t| t.wait())?)?);

    for number in 1..=3 {
        e.submit(finish(number))?;
    }
    e.stop(Stop::Drain);
    println!("too late: {}", error(e.submit(p()))?);
    e.join()?;
    println!("drained");
    println!("again: {}", error(e.start())?);
    Ok(())
}

fn until_a_signal() -> Result<()> {
    let e = TaskExecutor::started()?;
    let (begun, has_begun) = mpsc::channel();
    let endless = e.submit(clean_up(begun))?;
    has_begun.recv().context("wait for the task's begin")?;
    e.stop_on_signals(Stop::Cancel)?;
    kill_process(getpid(), Signal::TERM).context("send myself SIGTERM")?;
    match e.join()? {
        StoppedBy::Signal(signal) => println!("stopped by signal {}", signal.as_raw_value()),
        StoppedBy::Caller => bail!("nobody but the signal should have stopped it"),
    }
    println!("its waiter: {}", error(endless.wait())?);
    Ok(())
}

async fn p() -> u32 {
    println!("p runs in thread {}", gettid());
    42
}

fn b(result: &Result<u32, TaskError>) {
    println!(
        "b runs in thread {} with {}",
        gettid(),
        result.as_ref().map_or(0, |n| *n)
    );
}

async fn fail() {
    panic!("p has failed");
}

async fn finish(number: u32) {
    sleep(SECOND * number).await;
    println!("finished {number}");
}

async fn clean_up(begun: Sender<()>) {
    let _cleanup = Cleanup;
    println!("a task without end in thread {}", gettid());
    begun.send(()).ok();
    pending().await // Dropped here, it drops `_cleanup`, which cannot await anything.
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "cleaned up in thread {}", gettid()).ok(); // A second panic would abort.
    }
}

fn error<T, E: Display>(result: Result<T, E>) -> Result<E> {
    result.err().context("it was not refused")
}
