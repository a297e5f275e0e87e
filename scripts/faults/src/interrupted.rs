//! SIGINT goes to the whole group while a pool works, as from Ctrl-C: all end, nothing is left.

use std::thread;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::pool::{Pool, Task};

/// Says so, and never ends by itself.
#[derive(Serialize, Deserialize)]
pub struct Endless(pub u32);

impl Task for Endless {
    const NAME: &str = "endless";
    type Output = ();

    fn run(self) -> Result<()> {
        println!("task {} is at work", self.0);
        loop {
            thread::park();
        }
    }
}

/// Who runs this sends the signal when it has read a line.
pub fn run<C: Channel + 'static>(_rounds: u32) -> Result<String> {
    let pool = Pool::<C>::with_workers(3)?;
    pool.map((0..6).map(Endless), Some(1))?;
    bail!("it was not interrupted")
}
