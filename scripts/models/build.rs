//! Copies building blocks, and replaces their threads, locks, atomics and channels by loom's types and models.

use std::path::Path;
use std::{env, error, fs};

const BLOCKS: &[&str] = &[
    "async_demo/src/async_queue.rs",
    "thread_demo/src/thread_queue.rs",
    "thread_demo/src/timers.rs",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    let folder = env::var("OUT_DIR")?;
    for block in BLOCKS {
        let path = Path::new("../..").join(block);
        println!("cargo::rerun-if-changed={}", path.display());
        let text: String = fs::read_to_string(&path)?
            .lines()
            // `include!` does not allow inner doc comments, and the models do not run the block's own tests.
            .filter(|line| !line.starts_with("//!"))
            .take_while(|line| *line != "#[cfg(test)]")
            .map(|line| line.to_owned() + "\n")
            .collect();
        let text = text
            .replace("std::sync::atomic", "loom::sync::atomic")
            .replace("std::sync::Arc", "loom::sync::Arc")
            .replace("parking_lot", "crate::sync")
            .replace("std::thread::", "crate::thread::")
            .replace("crossbeam_channel", "crate::channel")
            .replace("tokio::sync::", "crate::tasks::");
        fs::write(
            Path::new(&folder).join(path.file_name().ok_or("no file")?),
            text,
        )?;
    }
    Ok(())
}
