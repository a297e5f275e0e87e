//! Submit work to an event loop on another thread, and drain it.
//!
//! Python:  `asyncio.run_coroutine_threadsafe`, `add_done_callback`, `Future.result(timeout)`
//! Differs: the callback returns before the waiter goes on; Python wakes the waiter first. The notes' waiter reads
//!          `stop_sign` for `_stop_sign`, and polls every half second, so a task of 0.2 seconds takes 0.5. Here it sleeps
//!          until the result is ready.
//! Order:   a task's lines come before its waiter's line. `join` returns after all submitted work is finished.
//! Platform: Linux (`gettid`)
//! Needs:   task_executor.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! parking_lot = "0.13"
//! rustix = { version = "1", features = ["thread"] }
//! tokio = { version = "1", features = ["macros", "rt", "signal", "sync", "time"] }
//! tokio-util = { version = "0.7", features = ["rt"] }
//! ```

use std::fmt::Display;
use std::future::pending;
use std::panic;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::gettid;
use tokio::time::sleep;

use crate::task_executor::{Stop, TaskError, TaskExecutor};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    // Without this line the panic of `fail` also prints its message on stderr, which would look like a crash here.
    panic::set_hook(Box::new(|_| {}));
    println!("main is thread {}", gettid());
    let e = TaskExecutor::new();
    println!("too early: {}", error(e.submit(p()))?);
    e.start()?;
    println!("main got {}", e.submit_with(p(), b)?.wait()?);

    let mut endless = e.submit(pending::<()>())?;
    println!("limit: {}", error(endless.wait_timeout(SECOND))?);
    endless.cancel();
    println!("cancelled: {}", error(endless.wait())?);
    println!("failed: {}", error(e.submit(fail())?.wait())?);

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

async fn p() -> u32 {
    println!("p runs in thread {}", gettid());
    42
}

fn b(result: &Result<u32, TaskError>) {
    match result {
        Ok(n) => println!("b runs in thread {} with {n}", gettid()),
        Err(error) => println!("b runs in thread {} with an error: {error}", gettid()),
    }
}

async fn fail() {
    panic!("p has failed");
}

async fn finish(number: u32) {
    sleep(SECOND * number).await;
    println!("finished {number}");
}

fn error<T, E: Display>(result: Result<T, E>) -> Result<E> {
    result.err().context("the call was not refused")
}
