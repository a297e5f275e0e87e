//! Leave two generators midway: close one, and let the other end with the loop.
//!
//! Python:  `async def` with `yield`, `aclose()`, `loop.shutdown_asyncgens()`
//! Differs: an async generator is a task that sends its values through a channel (which lets it run ahead of its reader), or a
//!          `Stream` (crates futures, async-stream). Its `finally` is a destructor, which runs whenever the future is
//!          dropped, so there is nothing to shut down. A destructor cannot await. Put cleanup that awaits after the loop in
//!          `numbers`; then drop the receiver and wait for the task.
//! Order:   dropping the receiver wakes `send`, the task ends, and then `close` returns.
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
    // Cancelling it at this await loses only a number that the reader would not have got.
    while sender.send(number).await.is_ok() {
        number += 1;
    }
}

struct Cleanup(&'static str);

impl Drop for Cleanup {
    fn drop(&mut self) {
        writeln!(io::stdout(), "{} cleans up", self.0).ok(); // A panic here may abort.
    }
}
