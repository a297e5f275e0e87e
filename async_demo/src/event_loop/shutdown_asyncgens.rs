//! Two generators are left in the middle: one is closed and waited for, the other ends with the loop.
//!
//! Python:  `async def` with `yield`, `aclose()`, `loop.shutdown_asyncgens()`
//! Differs: an async generator is a task that sends what it yields through a channel, or a `Stream` (crates futures,
//!          async-stream). What is `finally` there is a destructor here, so nothing has to be shut down: whatever
//!          drops the future, be it the end of the runtime, runs it. But a destructor cannot await. Cleanup that has
//!          to await comes after the loop in `numbers`, and needs somebody who drops the receiver and then waits for
//!          the task.
//! Notes:   the task is ahead of its reader by the items that the channel holds: a generator is not.
//! Order:   the end of the receiver wakes `send`, the task ends, and with it `close` returns.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["rt", "sync"] }
//! ```

use std::io::{self, Write};

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

pub fn main() -> Result<()> {
    let event_loop = Builder::new_current_thread().build()?;
    let left = event_loop.block_on(use_generators())?;
    println!("main leaves b");
    drop(event_loop);
    println!("the loop is closed");
    drop(left);
    Ok(())
}

async fn use_generators() -> Result<Generator> {
    let mut a = Generator::start("a");
    print_two("a", &mut a).await;
    a.close().await?;
    println!("a is closed");
    let mut b = Generator::start("b");
    print_two("b", &mut b).await;
    Ok(b)
}

async fn print_two(name: &str, generator: &mut Generator) {
    for _ in 0..2 {
        if let Some(number) = generator.items.recv().await {
            println!("{name} yields {number}");
        }
    }
}

struct Generator {
    items: Receiver<u32>,
    task: JoinHandle<()>,
}

impl Generator {
    fn start(name: &'static str) -> Generator {
        let (sender, items) = channel(1);
        let task = tokio::spawn(numbers(name, sender));
        Generator { items, task }
    }

    async fn close(self) -> Result<()> {
        drop(self.items);
        self.task.await.context("wait for the generator")
    }
}

async fn numbers(name: &'static str, sender: Sender<u32>) {
    let _cleanup = Cleanup(name);
    let mut number = 0;
    // If it is dropped at this await, the number is lost; nobody would have got it.
    while sender.send(number).await.is_ok() {
        number += 1;
    }
}

struct Cleanup(&'static str);

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "{} cleans up", self.0).ok(); // A second panic would abort.
    }
}
