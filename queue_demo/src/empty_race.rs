//! See why a consumer must not ask whether the queue is empty.
//!
//! Python:  `while not q.empty(): q.get()`
//! Differs: the notes start their children before the first `put`: they may find the queue empty, which means "not
//!          yet", and leave. Here they are joined before the first `put`, so they always miss the items.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::process;

use anyhow::{Result, ensure};
use multiproc::{Queue, fork};

const ITEMS: u32 = 10;

pub fn main() -> Result<()> {
    let queue = Queue::new()?;
    for _ in 0..3 {
        let exit = fork(|| r(&queue))?.join()?;
        ensure!(exit.success(), "a child failed: {exit}");
    }
    for item in 0..ITEMS {
        queue.put(&item)?;
    }
    queue.close()?;
    let mut lost = 0;
    while queue.get().is_ok() {
        lost += 1;
    }
    println!(
        "main process {} lost {lost} of {ITEMS} items",
        process::id()
    );
    Ok(())
}

fn r(queue: &Queue<u32>) -> Result<()> {
    let mut got = 0;
    while !queue.is_empty() {
        queue.get()?;
        got += 1;
    }
    println!("Child process {} got {got} items", process::id());
    Ok(())
}
