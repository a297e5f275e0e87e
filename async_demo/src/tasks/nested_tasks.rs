//! Create tasks in a task; they outlive it, and end at the latest with the loop.
//!
//! Python:  `asyncio.create_task` within a task; `asyncio.run` cancels the tasks that are left at its end
//! Differs: the notes' `main` sleeps for a week; this one waits for the delayed task. Dropping the runtime drops the tasks that
//!          are left; they clean up in destructors, which cannot await.
//! Order:   one thread runs all tasks, so `main_task` ends before its tasks begin. The second round comes before the delayed
//!          task, the fourth at nearly the same time. The runtime is dropped after `main`.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["macros", "rt", "time"] }
//! ```

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let begun = Instant::now();
    let main_task = tokio::spawn(main_task());
    let delay_task = main_task.await.context("join the main task")?;
    println!("main task has ended");
    delay_task.await.context("join the delay task")?;
    let took = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("main ends after {took:.6} seconds");
    Ok(())
}

async fn main_task() -> JoinHandle<()> {
    println!("start loop task");
    tokio::spawn(loop_task());
    println!("start delay task");
    tokio::spawn(delay_task())
}

async fn loop_task() {
    let mut rounds = Rounds(0);
    loop {
        println!("loop");
        rounds.0 += 1;
        sleep(SECOND).await; // Dropped here, at the end of the loop.
    }
}

struct Rounds(u32);

impl Drop for Rounds {
    fn drop(&mut self) {
        let rounds = self.0;
        writeln!(io::stdout(), "loop task is cancelled after {rounds} rounds").ok(); // A panic here may abort.
    }
}

async fn delay_task() {
    sleep(3 * SECOND).await;
    println!("after delay business logic");
}
