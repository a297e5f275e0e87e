//! A process that is a value: its fields travel to the child, which runs its method there.
//!
//! Python:  `class P(Process)` with `__init__` and `run`
//! Differs: a trait instead of a base class: `run` is the type's own, `start` comes with the trait. The fields travel as
//!          JSON on the child's stdin, as Python's do as a pickle.
//! Needs:   multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! serde = { version = "1", features = ["derive"] }
//! serde_json = "1"
//! ```

use std::io;
use std::os::unix::process::parent_id;
use std::process::{self, Child, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::multiprocessing::{command, role};

trait Process: Serialize {
    /// What the child does.
    fn run(&self) -> Result<()>;

    /// Starts the child and sends it this value.
    fn start(&self) -> Result<Child> {
        let mut child = command("child")?
            .stdin(Stdio::piped())
            .spawn()
            .context("start a child")?;
        let stdin = child.stdin.take().context("the child has no stdin")?;
        serde_json::to_writer(stdin, self).context("send the child its fields")?;
        Ok(child)
    }
}

#[derive(Serialize, Deserialize)]
struct P {
    number: u32,
}

impl Process for P {
    fn run(&self) -> Result<()> {
        println!(
            "child process pid is {} ppid is {} number is {}",
            process::id(),
            parent_id(),
            self.number
        );
        Ok(())
    }
}

pub fn main() -> Result<()> {
    if role().is_some() {
        let p: P = serde_json::from_reader(io::stdin()).context("receive the fields")?;
        return p.run();
    }
    println!("main process pid is {}", process::id());
    let children = (0..6)
        .map(|number| P { number }.start())
        .collect::<Result<Vec<_>>>()?;
    for mut child in children {
        let status = child.wait().context("wait for a child")?;
        ensure!(status.success(), "a child failed: {status}");
    }
    println!("main process joined 6 child processes");
    Ok(())
}
